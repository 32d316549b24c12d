"""Tensors in safetensors files with a JSON header of ours, written whole or not at all.

No file holds a pickle or names a class. A file is written aside, flushed to the disk and renamed,
so that a kill at any moment leaves the old file or the new one, never a broken one.
"""

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from loopyvq.errors import CheckpointError, LoopyVQError

__all__ = ["Saved", "kind_of", "read_tensors", "write_atomically", "write_tensors"]

_FORMAT_VERSION = 1
_HEADER = "loopyvq"


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

    Links stay, what they lead to is replaced. Pipes and devices stay too and are written to.

    Args:
        path: where to; its folder is made.
        blob: the new content.

    Raises:
        CheckpointError: the file system refuses, for example because the disk is full.
    """
    target = Path(os.path.realpath(path))
    aside = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            path.write_bytes(blob)
            return
        with aside.open("wb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(target)
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):  # nothing was written where the folder is a file
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
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise error_class(f"{path} was not written by loopyvq: it has no header") from error
    if version > _FORMAT_VERSION:
        raise error_class(
            f"{path} has format version {version}; this loopyvq reads up to {_FORMAT_VERSION}: "
            f"install a newer one"
        )
    if found != kind:
        raise error_class(f"{path} is a {found}, not a {kind}")
    return Saved(tensors, header)


def kind_of(path: str | Path) -> str | None:
    """Tell what a file is without reading its tensors.

    Args:
        path: any file.

    Returns:
        Its kind; None where it is missing or was not written by `write_tensors`.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return str(json.loads((file.metadata() or {})[_HEADER])["kind"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError):
        return None
