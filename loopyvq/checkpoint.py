"""Models and training states on disk: one safetensors file each, its config as JSON inside.

No file holds a pickle or names a class. A file is written aside, flushed to the disk and renamed,
so that a kill at any moment leaves the old file or the new one, never a broken one.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from loopyvq.config import config_to_dict, parse_config
from loopyvq.errors import CheckpointError, ConfigError, LoopyVQError
from loopyvq.models import ARCHITECTURES, Tokenizer
from loopyvq.models.taming.prior import TamingPrior, TamingPriorConfig

__all__ = [
    "CODING_PREFIX",
    "Saved",
    "load_prior",
    "load_tokenizer",
    "load_weights",
    "model_identity",
    "read_tensors",
    "save_prior",
    "save_tokenizer",
    "tokenizer_file",
    "write_atomically",
    "write_tensors",
]

_FORMAT_VERSION = 1
_HEADER = "loopyvq"
CODING_PREFIX = "coding."
"""Names of tensors that belong to the entropy coder and to no network."""


class Saved(NamedTuple):
    """What a file holds.

    Attributes:
        tensors: by name.
        header: the JSON values stored with them, ``kind`` among them.
    """

    tensors: dict[str, Tensor]
    header: dict[str, Any]


def write_atomically(path: Path, blob: bytes) -> None:
    """Replace a file whole, or not at all.

    Args:
        path: where to; its folder is made.
        blob: the new content.

    Raises:
        CheckpointError: the file system refuses, for example because the disk is full.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror}") from error
    finally:
        aside.unlink(missing_ok=True)


def write_tensors(path: Path, kind: str, tensors: Mapping[str, Tensor], **header: Any) -> None:
    """Write tensors with a JSON header.

    Args:
        path: where to.
        kind: what the file is, checked by `read_tensors`.
        tensors: by name, on any device.
        header: further values that JSON can hold.

    Raises:
        CheckpointError: the file cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({"format_version": _FORMAT_VERSION, "kind": kind, **header})
    write_atomically(path, save(plain, metadata={_HEADER: text}))


def read_tensors(
    path: str | Path, kind: str, error_class: type[LoopyVQError] = CheckpointError
) -> Saved:
    """Read a file that `write_tensors` wrote.

    Args:
        path: the file.
        kind: what it must be.
        error_class: what to raise.

    Returns:
        The tensors, on the CPU, and the header.

    Raises:
        LoopyVQError: of the given class; the file is missing, truncated, not ours, of a newer
            version or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise error_class(f"there is no file {path}")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise error_class(f"{path} is no safetensors file or is damaged: {error}") from error
    try:
        header = json.loads(metadata[_HEADER])
        version, found = int(header["format_version"]), str(header["kind"])
    except (KeyError, TypeError, ValueError) as error:
        raise error_class(f"{path} was not written by loopyvq: it has no header") from error
    if version > _FORMAT_VERSION:
        raise error_class(
            f"{path} has format version {version}; this loopyvq reads up to {_FORMAT_VERSION}: "
            f"install a newer one"
        )
    if found != kind:
        raise error_class(f"{path} is a {found}, not a {kind}")
    return Saved(tensors, header)


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Load weights whose names and shapes must be the module's own.

    Args:
        module: where to.
        tensors: by name.
        source: the file they come from, for the message.

    Raises:
        CheckpointError: a name is missing or unknown or a shape differs; nothing is loaded then.
    """
    own = module.state_dict()
    missing, unknown = own.keys() - tensors.keys(), tensors.keys() - own.keys()
    for what, names in (("lacks", missing), ("also has", unknown)):
        if names:
            listed = ", ".join(sorted(names)[:3]) + (", ..." if len(names) > 3 else "")
            raise CheckpointError(f"{source} does not fit its config: it {what} {listed}")
    for name, tensor in own.items():
        if tensor.shape != tensors[name].shape:
            raise CheckpointError(
                f"{source} does not fit its config: {name} is {tuple(tensors[name].shape)}, "
                f"expected {tuple(tensor.shape)}"
            )
    module.load_state_dict(dict(tensors))


def save_tokenizer(path: str | Path, tokenizer: Tokenizer, **notes: Any) -> None:
    """Write a tokenizer.

    Args:
        path: where to.
        tokenizer: the model.
        notes: values that JSON can hold, such as the step it was saved at.

    Raises:
        CheckpointError: the file cannot be written.
    """
    config = config_to_dict(tokenizer.config)
    header = {"architecture": tokenizer.architecture, "config": config, "notes": notes}
    write_tensors(Path(path), "tokenizer", tokenizer.state_dict(), **header)


def tokenizer_file(path: str | Path) -> Path:
    """Find the file of a tokenizer.

    Args:
        path: the file itself, or a folder as for `load_tokenizer`.

    Returns:
        The file, which may be missing.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    found = [path / f"{name}.safetensors" for name in ("best", "last", "model")]
    return next((file for file in found if file.is_file()), found[0])


def load_tokenizer(path: str | Path, device: str | torch.device = "cpu") -> Tokenizer:
    """Read a tokenizer.

    Args:
        path: a file that `save_tokenizer` wrote, the folder of a training run, whose best model
            is taken, or the folder of a converted model.
        device: where to put it.

    Returns:
        The tokenizer, in evaluation mode.

    Raises:
        CheckpointError: the file is missing, damaged or does not fit its own config.
    """
    path = tokenizer_file(path)
    tensors, header = read_tensors(path, "tokenizer")
    tensors = {name: item for name, item in tensors.items() if not name.startswith(CODING_PREFIX)}
    architecture = str(header.get("architecture", "loopy"))  # older files have no other
    if architecture not in ARCHITECTURES:
        raise CheckpointError(
            f"{path} has the architecture {architecture}; this loopyvq knows "
            f"{', '.join(ARCHITECTURES)}: install a newer one"
        )
    try:
        tokenizer = Tokenizer(parse_config(ARCHITECTURES[architecture], header["config"]))
    except (ConfigError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} has a config that this loopyvq cannot read: {error}"
        ) from error
    load_weights(tokenizer, tensors, path)
    return tokenizer.to(device).eval()


def save_prior(path: str | Path, prior: TamingPrior, **notes: Any) -> None:
    """Write a prior.

    Args:
        path: where to.
        prior: the model.
        notes: values that JSON can hold.

    Raises:
        CheckpointError: the file cannot be written.
    """
    header = {"architecture": "taming", "config": config_to_dict(prior.config), "notes": notes}
    write_tensors(Path(path), "prior", prior.state_dict(), **header)


def load_prior(path: str | Path, device: str | torch.device = "cpu") -> TamingPrior:
    """Read a prior.

    Args:
        path: a file that `save_prior` wrote, or the folder of a converted model.
        device: where to put it.

    Returns:
        The prior, in evaluation mode.

    Raises:
        CheckpointError: the file is missing, damaged or does not fit its own config.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "prior.safetensors"
    tensors, header = read_tensors(path, "prior")
    try:
        if header["architecture"] != "taming":
            raise ConfigError(f"its architecture is {header['architecture']}")
        prior = TamingPrior(parse_config(TamingPriorConfig, header["config"]))
    except (ConfigError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} has a config that this loopyvq cannot read: {error}"
        ) from error
    load_weights(prior, tensors, path)
    return prior.to(device).eval()


def model_identity(tokenizer: Tokenizer) -> str:
    """Name a model by what it is: tokens can only be decoded by the model that made them.

    Args:
        tokenizer: the model.

    Returns:
        16 hexadecimal digits of the SHA-256 of its config and weights.
    """
    digest = hashlib.sha256(json.dumps(config_to_dict(tokenizer.config), sort_keys=True).encode())
    for name, tensor in sorted(tokenizer.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]
