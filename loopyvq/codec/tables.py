"""Entropy tables beside the weights of a tokenizer, and what names both."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
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
from loopyvq.quantize import LoopQuantizer

__all__ = ["coding_identity", "fit_tables_to_images", "load_tables", "save_tables"]

# Mean lengths, as shares of the largest, between which the thresholds of the fit are spread.
_SHORTEST, _LONGEST = 0.03, 0.7
_DRAWS_PER_IMAGE = 3
# Of larger images the middle is enough.
_MOST_PIXELS = 768


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


def fit_tables_to_images(
    tokenizer: Tokenizer,
    images: Iterable[Tensor],
    seed: int = 0,
    fixed_depth: bool | None = None,
) -> Tables:
    """Fit entropy tables to how a tokenizer speaks of images.

    Args:
        tokenizer: the model.
        images: 8-bit, ``c H W``, such as those it was trained on; some hundreds are enough.
        seed: of the choice of thresholds and of the fit.
        fixed_depth: whether all sites will have the same number of tokens. If not, every image is
            encoded at three thresholds, which spread the mean length evenly, with either stop
            rule. By default true of models whose own threshold is 0.

    Returns:
        The tables.

    Raises:
        DataError: there are no images.
    """
    quantizer, generator = tokenizer.quantizer, np.random.default_rng(seed)
    if fixed_depth is None:
        fixed_depth = quantizer.config.threshold == 0
    samples = []
    for image in images:
        latents = latents_in_tiles(tokenizer, _middle(image))
        draws = [(0.0, "threshold")] if fixed_depth else _draws(quantizer, generator)
        for threshold, rule in draws:
            tokens = bounded_tokens(quantizer, latents, threshold, rule, bound=False).tokens
            samples.append(CodedTokens(tokens.codes.numpy(), tokens.lengths.numpy()))
    if not samples:
        raise DataError("fitting tables needs at least one readable image")
    codebook = quantizer.codebook.weight.detach().double().cpu().numpy()
    return fit_tables(samples, codebook, quantizer.gains().detach().double().cpu().numpy(), seed)


def _middle(image: UInt8[Tensor, "c H W"]) -> UInt8[Tensor, "c h w"]:
    top, left = (max(0, (side - _MOST_PIXELS) // 2) for side in image.shape[1:])
    return image[:, top : top + _MOST_PIXELS, left : left + _MOST_PIXELS]


def _draws(quantizer: LoopQuantizer, generator: np.random.Generator) -> Iterator[tuple[float, str]]:
    """Draw thresholds whose mean lengths are spread evenly over their logarithm, and stop rules."""
    # The third rule needs the tables that are being fitted.
    rules = STOP_RULES[:1] if quantizer.config.transform == "pull" else STOP_RULES[:2]
    for _ in range(_DRAWS_PER_IMAGE):
        share = np.exp(generator.uniform(np.log(_SHORTEST), np.log(_LONGEST)))
        length = torch.tensor(share * quantizer.max_depth, device=quantizer.sigma.device)
        threshold = float(quantizer.length_curve.threshold_for(length))
        yield threshold, rules[generator.integers(len(rules))]
