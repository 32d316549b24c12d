"""Smooth curves through the points of a coarse grid."""

from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

__all__ = ["Band", "cubic_band", "interpolated"]

# Places whose weights are made at once: they lie between few points, however many there are.
_PLACES_AT_ONCE = 2048


class Band(NamedTuple):
    """What the points around some places weigh at each of these.

    Attributes:
        first: the first of the points.
        weights: of it and those after it; rows sum to 1.
    """

    first: int
    weights: Float64[Tensor, "places points"]


def cubic_band(points: int, places: int, start: int, stop: int) -> Band:
    """Give what points weigh at the middles of some places.

    All points and all places divide the same length, and lie in the middles of their parts; beyond
    the border the last point goes on.

    Args:
        points: that are known, at least 1.
        places: where the curve could be read.
        start: first place where it is.
        stop: one behind the last, above ``start``.

    Returns:
        The weights, of which up to four of a row differ from 0.

    Example:
        >>> cubic_band(2, 2, 0, 2).weights.tolist()
        [[1.0, 0.0], [0.0, 1.0]]

    References:
        Keys, "Cubic convolution interpolation for digital image processing", 1981, equation 15,
        https://doi.org/10.1109/TASSP.1981.1163711
    """
    position = (torch.arange(start, stop, dtype=torch.float64) + 0.5) * points / places - 0.5
    nearest = (position.floor().long() - 1).unsqueeze(1) + torch.arange(4)
    away = (position.unsqueeze(1) - nearest).abs()
    near = (1.5 * away - 2.5) * away.square() + 1
    far = ((2.5 - 0.5 * away) * away - 4) * away + 2
    weights = torch.where(away <= 1, near, torch.where(away < 2, far, 0.0))
    nearest = nearest.clamp(0, points - 1)
    first = int(nearest[0, 0])
    found = torch.zeros(stop - start, int(nearest[-1, -1]) + 1 - first, dtype=torch.float64)
    return Band(first, found.scatter_add_(1, nearest - first, weights))


def interpolated(
    grid: Float64[Tensor, "c h w"], rows: int, columns: int
) -> Float64[Tensor, "c h2 w2"]:
    """Read a grid at more places, or fewer.

    Args:
        grid: its points.
        rows: of places.
        columns: of places.

    Returns:
        The values there.
    """
    return _along_rows(_along_rows(grid.mT, rows).mT, columns)


def _along_rows(grid: Float64[Tensor, "c h w"], places: int) -> Float64[Tensor, "c h w2"]:
    points = grid.shape[2]
    if points == places:
        return grid
    found = grid.new_empty(*grid.shape[:2], places)
    for start in range(0, places, _PLACES_AT_ONCE):
        stop = min(start + _PLACES_AT_ONCE, places)
        first, weights = cubic_band(points, places, start, stop)
        found[..., start:stop] = grid[..., first : first + weights.shape[1]] @ weights.T
    return found
