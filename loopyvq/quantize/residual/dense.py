"""The loop without a branch on data: every shape is known, so it can be traced and exported.

All turns run for all vectors and those that are done keep their value; the search is a float64
product, exact up to its own rounding. Nothing waits for the device.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from loopyvq.quantize.residual.walk import Limits, Walk
from loopyvq.tokens import CONTINUE, PAD

__all__ = ["dense_walk"]


def dense_walk(
    latents: Float[Tensor, "n d"],
    codebooks: Float[Tensor, "l k d"],
    sigma: Float[Tensor, ""],
    limits: Limits,
) -> Walk:
    """Run the residual loop on every vector. See `residual_walk`; arguments as in `direct_walk`."""
    exact, unit = latents.double(), sigma.double()
    total = torch.zeros_like(latents)
    error = exact
    energy = error.square().sum(dim=1)
    norms, emitted = [energy.sqrt() / unit], []
    done = torch.zeros_like(energy, dtype=torch.bool)
    for turn in range(codebooks.shape[0]):
        near = norms[-1] <= limits.threshold
        if turn < limits.min_length:
            near = torch.zeros_like(near)
        done = done | near | (limits.depth <= turn)
        code = _nearest(error / unit, codebooks[turn].double())
        candidate = total + codebooks[turn][code]
        left = exact - (candidate * sigma).double()
        left_energy = left.square().sum(dim=1)
        taken = ~done
        if limits.may_skip(turn):
            taken = taken & (left_energy < (1.0 - limits.min_gain) * energy)
        emitted.append(_symbol(code, taken, done))
        total = torch.where(taken.unsqueeze(1), candidate, total)
        error = torch.where(taken.unsqueeze(1), left, error)
        energy = torch.where(taken, left_energy, energy)
        norms.append(energy.sqrt() / unit)
    codes = torch.stack(emitted, dim=1)
    reached = norms[-1] <= limits.threshold
    return Walk(codes, (codes != PAD).sum(dim=1), torch.stack(norms, dim=1), reached)


def _symbol(
    code: Int[Tensor, " n"], taken: Bool[Tensor, " n"], done: Bool[Tensor, " n"]
) -> Int[Tensor, " n"]:
    blank = torch.where(done, PAD, CONTINUE)
    return torch.where(taken, code, blank)


def _nearest(vectors: Float[Tensor, "n d"], codes: Float[Tensor, "k d"]) -> Int[Tensor, " n"]:
    """Search in float64; codes that rounding cannot tell apart tie, and the lowest index wins."""
    centre = codes.mean(dim=0)
    centred, shifted = codes - centre, vectors - centre
    half_squares = centred.square().sum(dim=1) / 2
    scores = half_squares - shifted @ centred.T
    reach = shifted.square().sum(dim=1).sqrt() + half_squares.max().sqrt()
    doubt = 4.0 * (codes.shape[1] + 4) * 2.0**-53 * half_squares.max().sqrt() * reach
    limit = scores.amin(dim=1) + doubt
    return (scores <= limit.unsqueeze(1)).to(torch.int32).argmax(dim=1)
