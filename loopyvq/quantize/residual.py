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
from jaxtyping import Float, Int
from torch import Tensor

from loopyvq.ops.nearest import nearest_code
from loopyvq.tokens import CONTINUE, PAD

__all__ = ["Walk", "residual_walk"]


class Walk(NamedTuple):
    """What a loop found.

    Attributes:
        codes: ``n l``; see `loopyvq.tokens.Tokens`.
        lengths: ``n``; turns that ran.
        norms: ``n l+1``; the error before each turn and after the last, in units of ``sigma``; it
            keeps its value after a stop.
        reached: ``n``; whether the loop ended because the vector was close enough.
    """

    codes: Int[Tensor, "n l"]
    lengths: Int[Tensor, " n"]
    norms: Float[Tensor, "n m"]
    reached: Tensor


def residual_walk(
    latents: Float[Tensor, "n d"],
    codebooks: Float[Tensor, "l k d"],
    sigma: Float[Tensor, ""],
    threshold: Float[Tensor, " n"],
    depth: Int[Tensor, " n"],
    *,
    min_length: int = 0,
    min_gain: float = 0.0,
    dummies: bool = True,
) -> Walk:
    """Run the residual loop on every vector.

    The error is that of the decoder's own sum, rounded as the decoder rounds it, and is measured
    in float64: what the loop stops on is what will be decoded. Finished vectors leave the loop.

    Args:
        latents: the vectors, in their own units, finite where ``depth`` is not 0.
        codebooks: the codes of each turn, its gain included, in units of ``sigma``.
        sigma: the unit, positive.
        threshold: stop once ``|r| <= threshold``, in units of ``sigma``; 0 or more.
        depth: at most this many turns, per vector; 0 leaves a vector out.
        min_length: turns that run even when the vector is close enough.
        min_gain: share of the squared error that a code must remove to be used, in ``[0, 1)``.
        dummies: whether a code that removes less gives way to `CONTINUE`.

    Returns:
        The codes, the lengths and the errors along the way.
    """
    rows, turns = latents.shape[0], codebooks.shape[0]
    exact, unit = latents.double(), sigma.double()
    codes = torch.full((rows, turns), PAD, device=latents.device)
    total = torch.zeros_like(latents)
    limit = threshold.double()
    error = exact / unit
    norm = error.square().sum(dim=1).sqrt()
    norms = [norm]
    active = torch.arange(rows, device=latents.device)
    for turn in range(turns):
        going = (turn < depth[active]) & ((norm[active] > limit[active]) | (turn < min_length))
        active = active[going]
        if len(active) == 0:
            norms.extend([norm] * (turns - turn))
            break
        code = nearest_code(error[active], codebooks[turn])
        candidate = total[active] + codebooks[turn][code]
        left = (exact[active] - (candidate * sigma).double()) / unit
        left_norm = left.square().sum(dim=1).sqrt()
        if dummies:
            helps = left_norm.square() < (1.0 - min_gain) * norm[active].square()
            code = torch.where(helps, code, CONTINUE)
            candidate = torch.where(helps.unsqueeze(1), candidate, total[active])
            left = torch.where(helps.unsqueeze(1), left, error[active])
            left_norm = torch.where(helps, left_norm, norm[active])
        codes[active, turn] = code
        total = total.index_copy(0, active, candidate)
        error = error.index_copy(0, active, left)
        norm = norm.index_copy(0, active, left_norm)
        norms.append(norm)
    return Walk(codes, (codes != PAD).sum(dim=1), torch.stack(norms, dim=1), norm <= limit)
