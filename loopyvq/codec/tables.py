"""Entropy tables beside the weights of a tokenizer, and what names both."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from loopyvq.checkpoint import (
    CODING_PREFIX,
    model_identity,
    read_tensors,
    tokenizer_file,
    write_tensors,
)
from loopyvq.codec.bound import STOP_RULES, bounded_tokens
from loopyvq.codec.tiles import latents_in_tiles
from loopyvq.coding import CodedTokens, Tables, fit_tables
from loopyvq.errors import CheckpointError, DataError
from loopyvq.models import Tokenizer

__all__ = ["coding_identity", "fit_tables_to_images", "load_tables", "save_tables"]

# Mean lengths, as shares of the largest, between which the thresholds of the fit are spread.
_SHORTEST, _LONGEST = 0.03, 0.7
_DRAWS_PER_IMAGE = 3


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


def save_tables(path: str | Path, tables: Tables) -> None:
    """Store entropy tables with a tokenizer, in place of those it has.

    Args:
        path: as for `load_tokenizer`; the file is replaced whole.
        tables: fitted to its tokens.

    Raises:
        CheckpointError: the file cannot be read or written.
    """
    file = tokenizer_file(path)
    tensors, header = read_tensors(file, "tokenizer")
    kept = {name: item for name, item in tensors.items() if not name.startswith(CODING_PREFIX)}
    for name, array in tables.to_arrays().items():
        kept[CODING_PREFIX + name] = torch.from_numpy(array)
    notes = {key: value for key, value in header.items() if key not in ("kind", "format_version")}
    write_tensors(file, "tokenizer", kept, **notes)


def coding_identity(tokenizer: Tokenizer, tables: Tables | None) -> str:
    """Name what a file's reader must have.

    Args:
        tokenizer: the model.
        tables: those the tokens are coded with, if any.

    Returns:
        The model's identity; with tables, 16 hexadecimal digits of the SHA-256 of it and them.
    """
    identity = model_identity(tokenizer)
    if tables is None:
        return identity
    digest = hashlib.sha256(identity.encode())
    for name, array in sorted(tables.to_arrays().items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def fit_tables_to_images(tokenizer: Tokenizer, images: Iterable[Tensor], seed: int = 0) -> Tables:
    """Fit entropy tables to how a tokenizer speaks of images.

    Every image is encoded at three thresholds, which spread the mean length evenly, with either
    stop rule.

    Args:
        tokenizer: the model.
        images: 8-bit, ``c H W``, such as those it was trained on; some hundreds are enough.
        seed: of the choice of thresholds and of the fit.

    Returns:
        The tables.

    Raises:
        DataError: there are no images.
    """
    quantizer, generator = tokenizer.quantizer, np.random.default_rng(seed)
    rules = STOP_RULES[:1] if quantizer.config.transform == "pull" else STOP_RULES
    samples = []
    for image in images:
        latents = latents_in_tiles(tokenizer, image)
        for _ in range(_DRAWS_PER_IMAGE):
            share = np.exp(generator.uniform(np.log(_SHORTEST), np.log(_LONGEST)))
            length = torch.tensor(share * quantizer.max_depth, device=quantizer.sigma.device)
            threshold = float(quantizer.length_curve.threshold_for(length))
            rule = rules[generator.integers(len(rules))]
            tokens = bounded_tokens(quantizer, latents, threshold, rule, bound=False).tokens
            samples.append(CodedTokens(tokens.codes.numpy(), tokens.lengths.numpy()))
    if not samples:
        raise DataError("fitting tables needs at least one readable image")
    codebook = quantizer.codebook.weight.detach().double().cpu().numpy()
    return fit_tables(samples, codebook, quantizer.gains().detach().double().cpu().numpy(), seed)
