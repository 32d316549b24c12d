"""Checkpoints of taming-transformers in and out.

CKPT + YAML --restricted pickle--> tensors by name --> model.safetensors, prior.safetensors, ...
folder      --its names and shapes--> last.ckpt + config.yaml
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from loopyvq.checkpoint import load_prior, load_tokenizer, save_prior, save_tokenizer
from loopyvq.errors import CheckpointError, ConfigError
from loopyvq.interop.restricted_pickle import StoredTensor
from loopyvq.interop.taming_config import model_section, read_model_section
from loopyvq.interop.taming_parts import Parts, parts_from_state, parts_to_state
from loopyvq.interop.torch_file import TorchFile, write_torch_file
from loopyvq.models import TamingConfig
from loopyvq.pretrained import pretrained_file
from loopyvq.tensor_file import read_tensors, write_atomically, write_tensors

__all__ = ["Conversion", "from_taming", "refuse_run_folder", "remove_other_parts", "to_taming"]

_MODEL, _PRIOR, _CONDITION, _EXTRAS = (
    f"{name}.safetensors" for name in ("model", "prior", "condition", "extras")
)
_RUN = ("best.safetensors", "last.safetensors")
_EXTRAS_KIND = "taming extras"
# Parts of a Lightning file beside the weights that are kept as notes.
_NOTES = ("epoch", "global_step")
_LIGHTNING = "pytorch-lightning_version"


class Conversion(NamedTuple):
    """What a conversion did.

    Attributes:
        files: what was written.
        dropped: what was left behind, a line each.
    """

    files: list[Path]
    dropped: list[str]


def from_taming(checkpoint: str | Path, config: str | Path, folder: str | Path) -> Conversion:
    """Convert a checkpoint with its YAML file to a folder of ours.

    Args:
        checkpoint: of a VQModel, VQSegmentationModel, GumbelVQ or Net2NetTransformer.
        config: the YAML file that describes it.
        folder: gets ``model.safetensors``, and where there are such parts ``prior``,
            ``condition`` and ``extras``. Other files of these names in it are removed.

    Returns:
        The files, and what was dropped.

    Raises:
        CheckpointError: the checkpoint is damaged, wants more than tensors, or does not fit.
        ConfigError: the YAML file is damaged or describes something else.
    """
    folder = Path(folder)
    refuse_run_folder(folder)
    section = read_model_section(config)
    file = TorchFile(checkpoint)
    state, notes, dropped = _open_state(file)
    parts = parts_from_state(file, state, section, config)
    files = _write_parts(parts, folder, {**notes, "taming": section})
    return Conversion(files, dropped + parts.dropped)


def to_taming(model: str | Path, folder: str | Path) -> Conversion:
    """Write a model as taming's own loader reads it.

    Args:
        model: a converted folder, or any tokenizer with taming's networks.
        folder: gets ``last.ckpt`` and ``config.yaml``.

    Returns:
        The files; what had been dropped does not come back, but for the masks.

    Raises:
        CheckpointError: the model is damaged, or nothing that taming could hold.
    """
    model, folder = pretrained_file(model) or Path(model), Path(folder)
    parts, notes = _read_parts(model)
    state = parts_to_state(parts, model)
    section = notes.get("taming")
    if section is None:
        if parts.prior is not None or not isinstance(parts.tokenizer.config, TamingConfig):
            raise CheckpointError(f"{model} does not say how taming described it: convert it anew")
        section = model_section(parts.tokenizer.config)
    values = {name: notes.get(name, 0) for name in _NOTES}
    files = [folder / "last.ckpt", folder / "config.yaml"]
    write_torch_file(files[0], {**values, _LIGHTNING: "1.0.8", "state_dict": state})
    text = yaml.safe_dump({"model": section}, sort_keys=False)
    write_atomically(files[1], text.encode())
    return Conversion(files, [])


def refuse_run_folder(folder: Path) -> None:
    """Check that no training run would be hidden behind a converted model.

    Args:
        folder: where a model is to be written.

    Raises:
        ConfigError: it holds the models of a run.
    """
    if any((folder / name).exists() for name in _RUN):
        raise ConfigError(f"{folder} holds a run already: choose another folder")


def remove_other_parts(folder: Path, files: Sequence[Path]) -> None:
    """Remove what an earlier conversion left beside the files of a new one.

    Args:
        folder: of both.
        files: what the new one wrote.
    """
    for name in (_PRIOR, _CONDITION, _EXTRAS):
        if folder / name not in files:
            (folder / name).unlink(missing_ok=True)


def _open_state(file: TorchFile) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Find the weights; give them with notes, and lines about the rest."""
    values = file.values if isinstance(file.values, dict) else {}
    state = values.get("state_dict", values)
    is_state = isinstance(state, dict) and all(
        isinstance(name, str) and isinstance(value, StoredTensor) for name, value in state.items()
    )
    if not is_state or not state:
        raise CheckpointError(f"{file.path} holds no weights")
    if state is values:
        return values, {}, []
    notes = {name: values[name] for name in _NOTES if isinstance(values.get(name), int)}
    others = [name for name in values if name not in ("state_dict", _LIGHTNING, *_NOTES)]
    return state, notes, [f"{name}" for name in others if values[name] not in ([], {})]


def _write_parts(parts: Parts, folder: Path, notes: dict[str, Any]) -> list[Path]:
    """Write every part that is there; remove what an earlier conversion left of the others."""
    model, prior, condition, extras = (
        folder / name for name in (_MODEL, _PRIOR, _CONDITION, _EXTRAS)
    )
    files = [model]
    save_tokenizer(model, parts.tokenizer, **notes)
    if parts.prior is not None:
        save_prior(prior, parts.prior, **notes)
        files.append(prior)
    if parts.condition is not None:
        save_tokenizer(condition, parts.condition)
        files.append(condition)
    if parts.extras:
        write_tensors(extras, _EXTRAS_KIND, parts.extras)
        files.append(extras)
    remove_other_parts(folder, files)
    return files


def _read_parts(model: Path) -> tuple[Parts, dict[str, Any]]:
    """Read what `_write_parts` wrote, or the one model of a run or a file."""
    tokenizer = load_tokenizer(model)
    if not model.is_dir():
        notes = read_tensors(model, "tokenizer").header.get("notes", {})
        return Parts(tokenizer, None, None, {}, []), notes
    found = next(model / name for name in (*_RUN, _MODEL) if (model / name).is_file())
    notes = read_tensors(found, "tokenizer").header.get("notes", {})
    prior, condition, extras = (model / name for name in (_PRIOR, _CONDITION, _EXTRAS))
    parts = Parts(
        tokenizer,
        load_prior(prior) if prior.is_file() else None,
        load_tokenizer(condition) if condition.is_file() else None,
        read_tensors(extras, _EXTRAS_KIND).tensors if extras.is_file() else {},
        [],
    )
    return parts, notes
