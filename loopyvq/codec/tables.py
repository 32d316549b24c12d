"""Entropy tables beside the weights of a tokenizer, and what names both."""

from pathlib import Path

import torch

from loopyvq.checkpoint import CODING_PREFIX, model_identity, tokenizer_file
from loopyvq.coding import Tables
from loopyvq.errors import CheckpointError
from loopyvq.models import Tokenizer
from loopyvq.tensor_file import read_tensors, write_tensors

__all__ = ["coding_identity", "load_tables", "save_tables"]


def load_tables(path: str | Path) -> Tables | None:
    """Read the entropy tables of a tokenizer.

    Args:
        path: as for `load_tokenizer`.

    Returns:
        The tables; None if it has none.

    Raises:
        CheckpointError: the file cannot be read, or its tables cannot be right.
    """
    file = tokenizer_file(path)
    tensors = read_tensors(file, "tokenizer").tensors
    arrays = {
        name.removeprefix(CODING_PREFIX): tensor.numpy()
        for name, tensor in tensors.items()
        if name.startswith(CODING_PREFIX)
    }
    if not arrays:
        return None
    try:
        return Tables.from_arrays(arrays)
    except ValueError as error:
        raise CheckpointError(f"{file}: {error}") from error


def save_tables(path: str | Path, tables: Tables, out: str | Path | None = None) -> Path:
    """Store entropy tables with a tokenizer, in place of those it has.

    Args:
        path: as for `load_tokenizer`.
        tables: fitted to its tokens.
        out: the file to write; by default the tokenizer's, which is replaced whole.

    Returns:
        The file.

    Raises:
        CheckpointError: a file cannot be read or written.
    """
    file = tokenizer_file(path)
    target = file if out is None else Path(out)
    tensors, header = read_tensors(file, "tokenizer")
    kept = {name: item for name, item in tensors.items() if not name.startswith(CODING_PREFIX)}
    for name, array in tables.to_arrays().items():
        kept[CODING_PREFIX + name] = torch.from_numpy(array)
    notes = {key: value for key, value in header.items() if key not in ("kind", "format_version")}
    write_tensors(target, "tokenizer", kept, **notes)
    return target


def coding_identity(tokenizer: Tokenizer, tables: Tables | None) -> str:
    """Name what a file's reader must have, in all versions of this library alike.

    Args:
        tokenizer: the model.
        tables: those the tokens are coded with, if any.

    Returns:
        16 hexadecimal digits, see `model_identity`.
    """
    arrays = {} if tables is None else tables.to_arrays()
    coding = {CODING_PREFIX + name: torch.from_numpy(array) for name, array in arrays.items()}
    return model_identity(tokenizer, coding)
