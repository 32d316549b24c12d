"""Where the pixels of a crop lie in the whole image."""

import torch
from jaxtyping import Float
from torch import Tensor

from loopyvq.data.transforms import CropPlace

__all__ = ["pixel_index", "row_and_column"]


def row_and_column(height: int, width: int, place: CropPlace, size: int) -> Float[Tensor, "2 S S"]:
    """Give the row and the column of every pixel's centre, as shares of the whole image.

    Args:
        height: of the whole image, in pixels.
        width: of the whole image.
        place: of the crop. A mirrored crop is one of the mirrored image.
        size: side of the crop after resizing.

    Returns:
        Two planes with values above 0 and below 1.

    Example:
        >>> row_and_column(8, 16, CropPlace(4, 0, 4), 2)[:, :, 0].tolist()
        [[0.625, 0.875], [0.0625, 0.0625]]
    """
    middles = (torch.arange(size, dtype=torch.float64) + 0.5) * (place.side / size)
    rows = (place.top + middles) / height
    columns = (_left(width, place) + middles) / width
    return torch.stack([rows[:, None].expand(-1, size), columns.expand(size, -1)]).float()


def pixel_index(height: int, width: int, place: CropPlace, size: int) -> Float[Tensor, "1 S S"]:
    """Give the number of every pixel in reading order, as a share of all; this is taming's plane.

    Args:
        height: of the whole image, in pixels, as it lies in the file.
        width: of the whole image.
        place: of the crop; as the crop is resized, so is the image whose pixels are counted.
        size: side of the crop after resizing.

    Returns:
        One plane with values from 0 to below 1.

    Example:
        >>> pixel_index(4, 4, CropPlace(2, 2, 2), 2).tolist()
        [[[0.625, 0.6875], [0.875, 0.9375]]]
    """
    scale = size / place.side
    rows, columns = (max(size, round(side * scale)) for side in (height, width))
    top = min(round(place.top * scale), rows - size)
    left = min(round(_left(width, place) * scale), columns - size)
    steps = torch.arange(size, dtype=torch.float64)
    numbers = (top + steps)[:, None] * columns + left + steps
    return (numbers / (rows * columns)).float()[None]


def _left(width: int, place: CropPlace) -> int:
    return width - place.side - place.left if place.mirrored else place.left
