"""Folders of diffusers' ``VQModel`` in and out: the networks of taming under other names.

folder: config.json + diffusion_pytorch_model.safetensors  <-->  model.safetensors
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from loopyvq.checkpoint import load_tokenizer, save_tokenizer
from loopyvq.errors import CheckpointError, ConfigError
from loopyvq.interop.blank import blank_state
from loopyvq.interop.diffusers_config import folder_config, tokenizer_config
from loopyvq.interop.restricted_pickle import StoredTensor
from loopyvq.interop.taming import Conversion, refuse_run_folder, remove_other_parts
from loopyvq.interop.taming_state import taming_names, tokenizer_from_state, tokenizer_to_state
from loopyvq.interop.torch_file import TorchFile
from loopyvq.models import TamingConfig, Tokenizer
from loopyvq.tensor_file import write_atomically

__all__ = ["from_diffusers", "to_diffusers"]

_CONFIG = "config.json"
_WEIGHTS = "diffusion_pytorch_model"
# The default of diffusers; pipelines multiply latents by it, the model itself does not.
_SCALING_FACTOR = 0.18215
# Taming's word and diffusers', within the name of a block; and the words of its older versions.
_WORDS = {
    "nin_shortcut": "conv_shortcut",
    "q": "to_q",
    "k": "to_k",
    "v": "to_v",
    "proj_out": "to_out.0",
    "norm": "group_norm",
}
_OLDER_WORDS = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
_MIDDLE = {"block_1": "resnets.0", "attn_1": "attentions.0", "block_2": "resnets.1"}


def from_diffusers(source: str | Path, folder: str | Path) -> Conversion:
    """Convert a folder of diffusers' ``VQModel`` to one of ours.

    Args:
        source: with ``config.json`` and the weights, as safetensors or as a file of torch.
        folder: gets ``model.safetensors``. What an earlier conversion left beside it is removed.

    Returns:
        The file, and what was dropped.

    Raises:
        CheckpointError: the weights are damaged or do not fit.
        ConfigError: the config is damaged, or describes other networks than taming's.
    """
    source, folder = Path(source), Path(folder)
    refuse_run_folder(folder)
    values = _read_config(source / _CONFIG)
    config = tokenizer_config(values, source / _CONFIG)
    state, path = _read_weights(source)
    tokenizer = tokenizer_from_state(config, _to_taming_names(state, config, path), path)
    target = folder / "model.safetensors"
    save_tokenizer(target, tokenizer)
    remove_other_parts(folder, [target])
    factor = values.get("scaling_factor", _SCALING_FACTOR)
    unused = factor not in (None, _SCALING_FACTOR)
    return Conversion([target], [f"scaling_factor {factor} of pipelines"] if unused else [])


def to_diffusers(model: str | Path, folder: str | Path) -> Conversion:
    """Write a tokenizer with taming's networks as diffusers' ``VQModel`` reads it.

    Args:
        model: a converted folder or a model file.
        folder: gets ``config.json`` and the weights.

    Returns:
        The files.

    Raises:
        CheckpointError: the model is damaged, or diffusers has no such networks.
    """
    tokenizer = load_tokenizer(model)
    state = tokenizer_to_state(tokenizer, model)
    config = tokenizer.config
    if not isinstance(config, TamingConfig) or config.assignment == "gumbel":
        raise CheckpointError(f"{model} has a Gumbel quantizer, which diffusers does not know")
    values = folder_config(config, model)
    renamed = {}
    for name, tensor in state.items():
        new = _diffusers_name(name, len(config.multipliers))
        renamed[new] = tensor.flatten(1) if _is_linear(new) and tensor.ndim == 4 else tensor
    files = [Path(folder) / _CONFIG, Path(folder) / f"{_WEIGHTS}.safetensors"]
    write_atomically(files[0], (json.dumps(values, indent=2) + "\n").encode())
    write_atomically(files[1], save(renamed, metadata={"format": "pt"}))
    return Conversion(files, [])


def _read_config(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the config {path}: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold a mapping of options")
    return values


def _read_weights(source: Path) -> tuple[dict[str, Tensor], Path]:
    path = source / f"{_WEIGHTS}.safetensors"
    if path.is_file():
        try:
            return load_file(path), path
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(
                f"{path} is no safetensors file or is damaged: {error}"
            ) from error
    path = source / f"{_WEIGHTS}.bin"
    if not path.is_file():
        raise CheckpointError(f"there is no {_WEIGHTS}.safetensors or .bin in {source}")
    file = TorchFile(path)
    values = file.values if isinstance(file.values, dict) else {}
    if not all(isinstance(value, StoredTensor) for value in values.values()):
        raise CheckpointError(f"{path} holds no weights")
    return file.tensors(values), path


def _to_taming_names(
    state: Mapping[str, Tensor], config: TamingConfig, source: Path
) -> dict[str, Tensor]:
    """Rename what is known; what is not keeps its name and is refused by the loader."""
    levels = len(config.multipliers)
    ours = blank_state(lambda: Tokenizer(config), state, source)
    known = {_diffusers_name(name, levels): name for name in taming_names(ours, config)}
    known |= {_older(new): name for new, name in known.items()}
    renamed = {}
    for name, tensor in state.items():
        is_linear = name in known and _is_linear(name) and tensor.ndim == 2
        renamed[known.get(name, name)] = tensor[:, :, None, None] if is_linear else tensor
    return renamed


def _is_linear(name: str) -> bool:
    """Whether a weight is that of a 1x1 convolution here, of a linear layer there."""
    return ".attentions." in name and name.endswith(".weight") and ".group_norm." not in name


def _older(name: str) -> str:
    if ".attentions." not in name:
        return name
    for new, old in _OLDER_WORDS.items():
        name = name.replace(f".{new}.", f".{old}.")
    return name


def _diffusers_name(name: str, levels: int) -> str:
    """Translate a name of taming's."""
    name = re.sub(r"^(encoder|decoder)\.norm_out\.", r"\1.conv_norm_out.", name)
    name = re.sub(r"\.mid\.(\w+)\.", lambda m: f".mid_block.{_MIDDLE[m[1]]}.", name)
    name = re.sub(r"^encoder\.down\.(\d+)\.", r"encoder.down_blocks.\1.", name)
    name = re.sub(
        r"^decoder\.up\.(\d+)\.", lambda m: f"decoder.up_blocks.{levels - 1 - int(m[1])}.", name
    )
    for old, new in (("block", "resnets"), ("attn", "attentions")):
        name = re.sub(rf"(_blocks\.\d+)\.{old}\.", rf"\1.{new}.", name)
    name = re.sub(r"\.(down|up)sample\.", r".\1samplers.0.", name)
    return re.sub(
        r"((?:resnets|attentions)\.\d+)\.(\w+)\.",
        lambda m: f"{m[1]}.{_WORDS.get(m[2], m[2])}.",
        name,
    )
