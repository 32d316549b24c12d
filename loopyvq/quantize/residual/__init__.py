"""The residual loop: subtract the nearest code, look at what is left, go round again.

q = 0
for t in 0..max_depth-1:
    r = (z - sigma q) / sigma
    if |r| <= threshold: stop
    k = argmin_j |r - g_t e_j|
    if |r - g_t e_k|^2 < (1 - min_gain) |r|^2:  q += g_t e_k ; emit k
    else:                                       emit CONTINUE
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from loopyvq.quantize.residual.backends import (
    compiled_path,
    is_worth_loading,
    prefers_compiled,
    prefers_gram,
)
from loopyvq.quantize.residual.beam import Costs, better_of, dense_beam
from loopyvq.quantize.residual.dense import dense_walk
from loopyvq.quantize.residual.direct import direct_walk
from loopyvq.quantize.residual.table import GramTable, TableCache
from loopyvq.quantize.residual.walk import Limits, Walk

__all__ = [
    "Costs",
    "First",
    "Limits",
    "TableCache",
    "Walk",
    "beam_walk",
    "better_of",
    "books_of",
    "residual_walk",
]


class First(NamedTuple):
    """A first turn with codes of its own.

    Attributes:
        codes: as many as the other turns have.
        cache: as in `residual_walk`, of its own as well.
    """

    codes: Float[Tensor, "k d"]
    cache: TableCache


def residual_walk(
    latents: Float[Tensor, "n d"],
    codes: Float[Tensor, "k d"],
    gains: Float[Tensor, " l"],
    sigma: Float[Tensor, ""],
    limits: Limits,
    cache: TableCache | None = None,
    first: First | None = None,
) -> Walk:
    """Run the residual loop on every vector.

    The error is that of the decoder's own sum, rounded as the decoder rounds it, and is measured
    in float64: what the loop stops on is what will be decoded. Which way it runs depends on the
    machine and the sizes (`loopyvq.quantize.residual.backends`); the codes do not. Codes whose
    float64 distances differ by less than their rounding tie, and the lowest index wins.

    Args:
        latents: the vectors, in their own units, finite where the depth is not 0.
        codes: the codebook, in units of ``sigma``.
        gains: the factor of each turn, positive.
        sigma: the unit, positive.
        limits: when to stop.
        cache: keeps what was computed ahead of the codes for the next call.
        first: codes of the first turn, if it has others.

    Returns:
        The codes, the lengths and the errors along the way.
    """
    if is_worth_loading(latents, codes, gains) and prefers_compiled(latents):
        with_gram = prefers_gram(latents, codes, gains)
        cache = cache or TableCache()
        if first is None:
            tables = [_table(codes, gains, with_gram, cache)]
        else:
            rest = (1, len(gains))
            tables = [
                _table(first.codes, gains, False, first.cache, (0, 1)),
                _table(codes, gains, with_gram, cache, rest),
            ]
        walk: Walk = compiled_path().compiled_walk(latents, sigma, tables, limits)
        return walk
    codebooks = books_of(codes, gains, first)
    if latents.is_cuda or torch.compiler.is_compiling():
        return dense_walk(latents, codebooks, sigma, limits)
    return direct_walk(latents, codebooks, sigma, limits)


def beam_walk(
    latents: Float[Tensor, "n d"],
    codes: Float[Tensor, "k d"],
    gains: Float[Tensor, " l"],
    sigma: Float[Tensor, ""],
    limits: Limits,
    size: int,
    costs: Costs,
    cache: TableCache | None = None,
    first: First | None = None,
) -> Walk:
    """Search further than the loop: keep several sums of codes per vector at every turn.

    The tokens decode as any others. The first path to come within the threshold ends the search;
    with a price, the place where squared error and price together are least.

    Args:
        latents: as in `residual_walk`, like the next four.
        codes: the codebook.
        gains: the factor of each turn.
        sigma: the unit.
        limits: when to stop.
        size: paths that are kept per vector; 1 or more.
        costs: prices of the codes.
        cache: as in `residual_walk`.
        first: as in `residual_walk`; with it the search runs in torch alone.

    Returns:
        The cheapest path that was found for each vector.

    References:
        Babenko and Lempitsky, "Additive Quantization for Extreme Vector Compression", 2014,
        section 3.2 (beam search over codes).
    """
    if prefers_compiled(latents) and first is None:
        table = _table(codes, gains, True, cache or TableCache())
        found: Walk = compiled_path().compiled_beam(latents, sigma, table, limits, size, costs)
        return found
    return dense_beam(latents, books_of(codes, gains, first), sigma, limits, size, costs)


def books_of(
    codes: Float[Tensor, "k d"], gains: Float[Tensor, " l"], first: First | None = None
) -> Float[Tensor, "l k d"]:
    """Give the codes of every turn, its gain included.

    Args:
        codes: the codebook.
        gains: the factor of each turn.
        first: codes of the first turn, if it has others; as many.

    Returns:
        One codebook per turn.
    """
    books = gains[:, None, None] * codes
    return books if first is None else torch.cat([gains[0] * first.codes.unsqueeze(0), books[1:]])


def _table(
    codes: Tensor,
    gains: Tensor,
    with_gram: bool,
    cache: TableCache,
    turns: tuple[int, int] | None = None,
) -> GramTable:
    """Take the table from the cache, or make it and keep it there."""
    table = cache.get(codes, gains, with_gram=with_gram, turns=turns)
    if table is None:
        multiple = compiled_path().MULTIPLE
        table = GramTable.build(codes, gains, with_gram=with_gram, multiple=multiple, turns=turns)
        cache.keep(table)
    return table
