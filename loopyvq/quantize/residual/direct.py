"""The loop as it is written down: a search for every turn, on the vectors that are still going.

The plain path, on any device; the others must give its codes to the last one.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from loopyvq.ops.nearest import nearest_code
from loopyvq.quantize.residual.walk import Limits, Walk
from loopyvq.tokens import CONTINUE, PAD

__all__ = ["direct_walk"]


def direct_walk(
    latents: Float[Tensor, "n d"],
    codebooks: Float[Tensor, "l k d"],
    sigma: Float[Tensor, ""],
    limits: Limits,
) -> Walk:
    """Run the residual loop on every vector. See `residual_walk`.

    Args:
        latents: the vectors, in their own units.
        codebooks: the codes of each turn, its gain included, in units of ``sigma``.
        sigma: the unit.
        limits: when to stop.
    """
    rows, turns = latents.shape[0], codebooks.shape[0]
    exact, unit = latents.double(), sigma.double()
    codes = torch.full((rows, turns), PAD, device=latents.device)
    total = torch.zeros_like(latents)
    error = exact
    energy = error.square().sum(dim=1)
    norms = [energy.sqrt() / unit]
    active = torch.arange(rows, device=latents.device)
    for turn in range(turns):
        near = norms[-1][active] <= limits.threshold[active]
        going = (turn < limits.depth[active]) & (~near | (turn < limits.min_length))
        active = active[going]
        if len(active) == 0:
            norms.extend([norms[-1]] * (turns - turn))
            break
        code = nearest_code(error[active] / unit, codebooks[turn])
        candidate = total[active] + codebooks[turn][code]
        left = exact[active] - (candidate * sigma).double()
        left_energy = left.square().sum(dim=1)
        if limits.may_skip(turn):
            helps = left_energy < (1.0 - limits.min_gain) * energy[active]
            code = torch.where(helps, code, CONTINUE)
            candidate = torch.where(helps.unsqueeze(1), candidate, total[active])
            left = torch.where(helps.unsqueeze(1), left, error[active])
            left_energy = torch.where(helps, left_energy, energy[active])
        codes[active, turn] = code
        total = total.index_copy(0, active, candidate)
        error = error.index_copy(0, active, left)
        energy = energy.index_copy(0, active, left_energy)
        norms.append(energy.sqrt() / unit)
    reached = norms[-1] <= limits.threshold
    return Walk(codes, (codes != PAD).sum(dim=1), torch.stack(norms, dim=1), reached)
