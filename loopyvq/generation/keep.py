"""Which part of an image a completion keeps."""

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor
from torch.nn import functional as F

__all__ = ["REGIONS", "mask_of_picture", "mask_of_region"]

REGIONS: dict[str, tuple[float, float, float, float]] = {
    "top-half": (0, 0, 0.5, 1),
    "bottom-half": (0.5, 0, 1, 1),
    "left-half": (0, 0, 1, 0.5),
    "right-half": (0, 0.5, 1, 1),
    "top-quarter": (0, 0, 0.25, 1),
    "left-quarter": (0, 0, 1, 0.25),
    "centre": (0.25, 0.25, 0.75, 0.75),
    "nothing": (0, 0, 0, 0),
}
"""Parts by name: top, left, bottom and right, as shares of the image."""


def mask_of_region(name: str, grid: tuple[int, int]) -> Bool[Tensor, "h w"]:
    """Mark the sites of a part.

    Args:
        name: a key of `REGIONS`.
        grid: sites along height and width.

    Returns:
        True for sites whose middle lies in the part.

    Raises:
        ValueError: there is no such part.

    Example:
        >>> mask_of_region("top-half", (2, 2)).tolist()
        [[True, True], [False, False]]
    """
    if name not in REGIONS:
        raise ValueError(f"there is no part {name!r}: choose one of {', '.join(REGIONS)}")
    top, left, bottom, right = REGIONS[name]
    rows, columns = ((torch.arange(count) + 0.5) / count for count in grid)
    inside = (rows >= top) & (rows < bottom)
    return inside.unsqueeze(1) & ((columns >= left) & (columns < right))


def mask_of_picture(
    picture: UInt8[Tensor, "1 H W"], downsampling: int, grid: tuple[int, int]
) -> Bool[Tensor, "h w"]:
    """Mark the sites that a picture of the image's size shows in white.

    Args:
        picture: white, 128 or brighter, where the image is to be kept.
        downsampling: pixels per site along each side.
        grid: sites along height and width, as many as cover the picture.

    Returns:
        True for sites that are white all over.

    Raises:
        ValueError: the picture has another size.
    """
    height, width = picture.shape[1:]
    if (-(-height // downsampling), -(-width // downsampling)) != grid:
        raise ValueError(
            f"a mask must be as large as its image, of {grid[0]} x {grid[1]} sites of "
            f"{downsampling} x {downsampling} pixels, got {height} x {width} pixels"
        )
    dark = (picture < 128).float().unsqueeze(0)
    padded = F.pad(dark, (0, -width % downsampling, 0, -height % downsampling))
    return F.max_pool2d(padded, downsampling)[0, 0] == 0
