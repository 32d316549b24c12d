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
from jaxtyping import Float
from torch import Tensor

from loopyvq.quantize.residual import Limits, TableCache, Walk, residual_walk
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
    limits: Limits,
    *,
    max_depth: int,
    step_size: float,
    cache: TableCache | None = None,
) -> Walk:
    """Run the pull on every vector.

    Args:
        latents: the vectors, in their own units, finite where ``depth`` is not 0.
        codebook: the codes, in units of ``sigma``.
        sigma: the unit, positive.
        limits: the distance at which the code is emitted, in units of ``sigma``, and the most
            tokens of each vector; the other fields mean nothing here.
        max_depth: width of the codes.
        step_size: share of the way to the code that one turn covers, in ``(0, 1]``.
        cache: see `residual_walk`.

    Returns:
        The codes, the lengths and the distances before each pull; the error of what is decoded is
        the first of them.
    """
    search = Limits(limits.threshold, torch.ones_like(limits.depth), min_length=1, dummies=False)
    one = codebook.new_ones(1)
    found = residual_walk(latents, codebook, one, sigma, search, cache)
    code, distance = found.codes[:, 0], found.norms[:, 1]
    pulls = pull_count(distance, limits.threshold, step_size)
    lengths = torch.minimum((pulls + 1).clamp(max=max_depth), limits.depth.double()).long()
    turn = torch.arange(max_depth + 1, device=latents.device)
    codes = torch.where(turn[:-1] < lengths.unsqueeze(1) - 1, CONTINUE, PAD)
    codes = torch.where(turn[:-1] == lengths.unsqueeze(1) - 1, code.unsqueeze(1), codes)
    taken = torch.minimum(turn, (lengths - 1).clamp(min=0).unsqueeze(1))
    norms = distance.unsqueeze(1) * (1.0 - step_size) ** taken
    return Walk(codes, lengths, norms, (lengths > 0) & (pulls < limits.depth))
