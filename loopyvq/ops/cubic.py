"""Smooth curves through the points of a coarse grid."""

import torch
from jaxtyping import Float64
from torch import Tensor

__all__ = ["cubic_weights", "interpolated"]


def cubic_weights(points: int, places: int) -> Float64[Tensor, "places points"]:
    """Give what each point weighs at the middle of each place.

    Both divide the same length, points and places at the middles of their parts; beyond the border
    the last point goes on.

    Args:
        points: that are known, at least 1.
        places: where to read the curve.

    Returns:
        Rows that sum to 1, of up to four weights each.

    Example:
        >>> cubic_weights(2, 2).tolist()
        [[1.0, 0.0], [0.0, 1.0]]

    References:
        Keys, "Cubic convolution interpolation for digital image processing", 1981, equation 15,
        https://doi.org/10.1109/TASSP.1981.1163711
    """
    position = (torch.arange(places, dtype=torch.float64) + 0.5) * points / places - 0.5
    nearest = (position.floor().long() - 1).unsqueeze(1) + torch.arange(4)
    away = (position.unsqueeze(1) - nearest).abs()
    near = (1.5 * away - 2.5) * away.square() + 1
    far = ((2.5 - 0.5 * away) * away - 4) * away + 2
    weights = torch.where(away <= 1, near, torch.where(away < 2, far, 0.0))
    found = torch.zeros(places, points, dtype=torch.float64)
    return found.scatter_add_(1, nearest.clamp(0, points - 1), weights)


def interpolated(
    grid: Float64[Tensor, "c h w"], size: tuple[int, int]
) -> Float64[Tensor, "c h2 w2"]:
    """Read a grid at more places, or fewer.

    Args:
        grid: its points.
        size: rows and columns of places.

    Returns:
        The values there.
    """
    return cubic_weights(grid.shape[1], size[0]) @ grid @ cubic_weights(grid.shape[2], size[1]).T
