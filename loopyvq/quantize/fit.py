"""k-means over the residuals of all turns: one shared codebook from data alone."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor

from loopyvq.quantize.codebook import Assignments
from loopyvq.quantize.residual import Limits, residual_walk
from loopyvq.quantize.supports import keep_largest

__all__ = ["Fitted", "assignments_of", "fit_codes", "left_by_one_turn", "rows_of"]


class Fitted(NamedTuple):
    """Codes and gains that a fit found.

    Attributes:
        codes: ``k d``, no two of them equal.
        gains: ``l``; the first is 1, each the least-squares factor of its turn.
    """

    codes: Float[Tensor, "k d"]
    gains: Float[Tensor, " l"]


def rows_of(vectors: npt.ArrayLike | Tensor) -> Float[Tensor, "n d"]:
    """Take vectors from an array or a tensor, at least in float32.

    Args:
        vectors: ``n d``.

    Returns:
        A detached tensor.

    Raises:
        ValueError: they are not floats of shape ``n d``, there are none, or one is not finite.
    """
    data = vectors if isinstance(vectors, Tensor) else torch.from_numpy(np.array(vectors))
    if data.ndim != 2 or len(data) == 0 or not data.is_floating_point():
        raise ValueError(f"vectors must be floats of shape (n, d), n >= 1, got {data.shape}")
    if not bool(data.isfinite().all()):
        raise ValueError("vectors must be finite")
    return data.detach().to(torch.promote_types(data.dtype, torch.float32))


def assignments_of(
    latents: Float[Tensor, "n d"], codes: Tensor, codebooks: Float[Tensor, "l k d"], gains: Tensor
) -> Assignments:
    """List every residual with the code it chose, over all turns.

    Args:
        latents: in units of ``sigma``.
        codes: ``n l``, as a walk gave them.
        codebooks: the codes of each turn, its gain included.
        gains: the gains.

    Returns:
        One row for every code that was emitted, turn after turn; dummies emit none.
    """
    total = torch.zeros_like(latents)
    residuals, rows = [], []
    for turn in range(codes.shape[1]):
        chosen = (codes[:, turn] >= 0).nonzero().squeeze(1)
        before, code = total[chosen], codes[chosen, turn]
        residuals.append(latents[chosen] - before)
        rows.append(torch.stack([code, torch.full_like(code, turn)]))
        total.index_copy_(0, chosen, before + codebooks[turn][code])
    found, turns = torch.cat(rows, dim=1)
    return Assignments(torch.cat(residuals), found, gains[turns], turns)


@torch.no_grad()
def fit_codes(
    latents: Float[Tensor, "n d"],
    size: int,
    gains: Float[Tensor, " l"],
    *,
    iterations: int,
    generator: torch.Generator,
    fit_gains: bool = False,
    dummies: bool = True,
    first_dummy: int = 0,
    support: Int[Tensor, " k"] | None = None,
) -> Fitted:
    """Fit one codebook to all turns of the residual loop.

    Alternates between walking every vector to full depth and setting each code to the
    least-squares mean of the residuals that chose it, divided by their gains (Lloyd, "Least
    squares quantization in PCM", 1982); codes that nobody chose move to random residuals.

    Args:
        latents: finite, in units of ``sigma``, at least one.
        size: number of codes.
        gains: positive gains per turn to start from, the first of them 1.
        iterations: rounds; 0 samples the codes from the data.
        generator: source of the samples, on the CPU.
        fit_gains: whether to fit the gains as well.
        dummies: whether a turn may emit `CONTINUE`.
        first_dummy: the first turn that may.
        support: how many entries each code may have; None for all.

    Returns:
        The codes and the gains.

    Raises:
        ValueError: there is no vector to fit to.
    """
    if len(latents) == 0:
        raise ValueError("fitting a codebook needs at least one vector, got none")
    latents = latents.float()
    codes = _distinct(_sample(latents, size, generator), latents, generator)
    codes = keep_largest(codes, support)
    endless = Limits(
        latents.new_zeros(len(latents), dtype=torch.float64),
        torch.full((len(latents),), len(gains), device=latents.device),
        dummies=dummies,
        first_dummy=first_dummy,
    )
    for _ in range(iterations):
        walk = residual_walk(latents, codes, gains, latents.new_ones(()), endless)
        codebooks = gains[:, None, None] * codes
        found = assignments_of(latents, walk.codes, codebooks, gains)
        sums, mass = found.least_squares(size)
        empty = (mass == 0).nonzero().squeeze(1)
        codes = sums / mass.clamp(min=torch.finfo(mass.dtype).tiny).unsqueeze(1)
        codes[empty] = _sample(found.residuals / found.gains[:, None], len(empty), generator)
        codes = keep_largest(_distinct(codes, latents, generator), support)
        if fit_gains:
            gains = _least_squares_gains(found, codes, gains)
    return Fitted(codes, gains)


@torch.no_grad()
def left_by_one_turn(
    latents: Float[Tensor, "n d"], codes: Float[Tensor, "k d"], *, dummies: bool
) -> Float[Tensor, "n d"]:
    """Give what the nearest codes leave over.

    Args:
        latents: finite, in the unit of the codes.
        codes: the codebook.
        dummies: whether a vector that no code brings closer stays as it is.

    Returns:
        The residuals, in float32.
    """
    latents, one = latents.float(), latents.new_ones(1, dtype=torch.float32)
    zeros = latents.new_zeros(len(latents), dtype=torch.float64)
    limits = Limits(zeros, torch.ones_like(zeros, dtype=torch.int64), dummies=dummies)
    found = residual_walk(latents, codes, one, one[0], limits).codes[:, 0]
    return latents - codes[found.clamp(min=0)] * (found >= 0).unsqueeze(1)


def _sample(
    rows: Float[Tensor, "n d"], count: int, generator: torch.Generator
) -> Float[Tensor, "c d"]:
    """Draw rows, without repeats while there are enough."""
    if len(rows) == 0 or count == 0:
        return rows.new_zeros(count, rows.shape[1])
    rounds = -(-count // len(rows))
    order = torch.cat([torch.randperm(len(rows), generator=generator) for _ in range(rounds)])
    return rows[order[:count].to(rows.device)]


def _distinct(
    codes: Float[Tensor, "k d"], latents: Float[Tensor, "n d"], generator: torch.Generator
) -> Float[Tensor, "k d"]:
    """Move codes that repeat an earlier one, up to rounding, by a little noise."""
    scale = latents.square().mean().sqrt().clamp(min=1e-3)
    values, group = torch.unique(codes, dim=0, return_inverse=True)
    apart = values.diff(dim=0).abs().amax(dim=1) > 1e-6 * scale
    group = torch.cat([apart.new_zeros(1, dtype=torch.int64), apart.cumsum(dim=0)])[group]
    index = torch.arange(len(codes), device=codes.device)
    first = index.new_full((len(codes),), len(codes)).scatter_reduce(0, group, index, "amin")
    repeats = first[group] != index
    noise = torch.randn(codes.shape, generator=generator).to(codes)
    return torch.where(repeats.unsqueeze(1), codes + 0.05 * scale * noise, codes)


def _least_squares_gains(
    found: Assignments, codes: Float[Tensor, "k d"], gains: Float[Tensor, " l"]
) -> Float[Tensor, " l"]:
    """Give each turn the factor that fits its residuals best, the first 1, never increasing."""
    chosen = codes[found.codes]
    product = (found.residuals * chosen).sum(dim=1)
    energy = chosen.square().sum(dim=1)
    zeros = gains.new_zeros(len(gains))
    best = zeros.index_add(0, found.turns, product) / zeros.index_add(0, found.turns, energy)
    usable = best.isfinite() & (best > 0)
    return torch.where(usable, best / best[0], gains).cummin(dim=0).values
