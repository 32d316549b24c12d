"""The pull: the literal idea the project started from, with a formula in place of the loop.

    for t in 0..max_depth-1:
        k = argmin_j |z - e_j|
        if |z - e_k| <= threshold: emit k; stop
        emit CONTINUE ; z += step_size (e_k - z)

Pulling towards the nearest code never changes which code that is (Voronoi cells are convex), so
one search tells the code and the distance tells the number of pulls. The length says how far away
the vector was. Unlike the literal loop, the last turn that is allowed emits the code even when the
vector is not close yet, so that every sequence decodes.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from loopyvq.ops.nearest import nearest_code
from loopyvq.quantize.residual import Walk
from loopyvq.tokens import CONTINUE, PAD

__all__ = ["pull_count", "pull_walk"]


def pull_count(
    distance: Float[Tensor, " n"], threshold: Float[Tensor, " n"], step_size: float
) -> Float[Tensor, " n"]:
    """Count the pulls that bring a vector within the threshold of its code.

    Args:
        distance: float64, distance from the code, 0 or more.
        threshold: float64, 0 or more.
        step_size: share of the way that one pull covers, in ``(0, 1]``.

    Returns:
        The smallest ``n >= 0`` with ``distance (1 - step_size)^n <= threshold``, as floats;
        infinite where no number of pulls suffices.

    Example:
        >>> pull_count(torch.tensor([4.0]).double(), torch.tensor([1.0]).double(), 0.5)
        tensor([2.], dtype=torch.float64)
    """
    if step_size == 1.0:
        return (distance > threshold).to(distance.dtype)
    kept = 1.0 - step_size
    count = ((threshold / distance).log() / torch.tensor(kept).double().log()).ceil()
    count = torch.where(distance <= threshold, 0.0, count)
    # The logarithms round; the definition decides on the boundary.
    one_less = (count > 0) & (distance * kept ** (count - 1) <= threshold)
    one_more = distance * kept**count > threshold
    return count - one_less.to(count.dtype) + one_more.to(count.dtype)


def pull_walk(
    latents: Float[Tensor, "n d"],
    codebook: Float[Tensor, "k d"],
    sigma: Float[Tensor, ""],
    threshold: Float[Tensor, " n"],
    depth: Int[Tensor, " n"],
    *,
    max_depth: int,
    step_size: float,
) -> Walk:
    """Run the pull on every vector.

    Args:
        latents: the vectors, in their own units, finite where ``depth`` is not 0.
        codebook: the codes, in units of ``sigma``.
        sigma: the unit, positive.
        threshold: distance at which the code is emitted, in units of ``sigma``; 0 or more.
        depth: at most this many tokens, per vector; 0 leaves a vector out.
        max_depth: width of the codes.
        step_size: share of the way to the code that one turn covers, in ``(0, 1]``.

    Returns:
        The codes, the lengths and the distances before each pull; the error of what is decoded is
        the first of them.
    """
    exact, unit = latents.double(), sigma.double()
    code = nearest_code(exact / unit, codebook)
    decoded = (codebook[code] * sigma).double()
    distance = (exact - decoded).square().sum(dim=1).sqrt() / unit
    pulls = pull_count(distance, threshold.double(), step_size)
    lengths = torch.minimum((pulls + 1).clamp(max=max_depth), depth.double()).long()
    turn = torch.arange(max_depth + 1, device=latents.device)
    codes = torch.where(turn[:-1] < lengths.unsqueeze(1) - 1, CONTINUE, PAD)
    codes = torch.where(turn[:-1] == lengths.unsqueeze(1) - 1, code.unsqueeze(1), codes)
    taken = torch.minimum(turn, (lengths - 1).clamp(min=0).unsqueeze(1))
    norms = distance.unsqueeze(1) * (1.0 - step_size) ** taken
    return Walk(codes, lengths, norms, (lengths > 0) & (pulls < depth))
