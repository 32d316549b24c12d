"""The discriminator that a GAN training starts from, if taming left one."""

from pathlib import Path

from loopyvq.checkpoint import load_weights
from loopyvq.errors import CheckpointError
from loopyvq.models.discriminator import PatchDiscriminator
from loopyvq.tensor_file import read_tensors

__all__ = ["load_discriminator"]

_EXTRAS, _KIND = "extras.safetensors", "taming extras"
# A transformer's checkpoint holds its first stage, loss included, under a longer name.
_STARTS = ("loss.discriminator.", "first_stage_model.loss.discriminator.")


def load_discriminator(discriminator: PatchDiscriminator, path: str) -> None:
    """Give a discriminator the weights that a checkpoint of taming had for its own.

    Args:
        discriminator: with ``normalisation`` batch or actnorm, as taming's; changed in place.
        path: the ``extras.safetensors`` that ``loopyvq convert taming`` wrote, or its folder.

    Raises:
        CheckpointError: the file is missing or damaged, holds no discriminator, or one of other
            sizes.
    """
    file = Path(path) / _EXTRAS if Path(path).is_dir() else Path(path)
    tensors = read_tensors(file, _KIND).tensors
    for start in _STARTS:
        own = {
            name.removeprefix(start): item
            for name, item in tensors.items()
            if name.startswith(start)
        }
        if own:
            load_weights(discriminator, own, file)
            return
    raise CheckpointError(
        f"{file} holds no discriminator: the checkpoint it was converted from had none"
    )
