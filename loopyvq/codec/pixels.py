"""Pixels of a file to those of a model, grey images in a model of colours; and sums over them."""

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from loopyvq.errors import ConfigError

__all__ = ["pixels_of", "rows_at_once", "squared_error", "to_grey", "with_channels"]

_PIXELS_AT_ONCE = 1 << 18
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's "L"


def pixels_of(image: Tensor | np.ndarray) -> UInt8[Tensor, "c H W"]:
    """Take an image as a tensor.

    Args:
        image: 8-bit pixels, ``c H W``.

    Returns:
        A tensor on the CPU.

    Raises:
        ConfigError: it is not 8-bit, not of three axes, or empty.
    """
    pixels = image if isinstance(image, Tensor) else torch.from_numpy(np.array(image))
    if pixels.ndim != 3 or pixels.dtype != torch.uint8 or min(pixels.shape) < 1:
        raise ConfigError(
            f"an image must be 8-bit of shape (c, H, W), got {pixels.dtype} of "
            f"{tuple(pixels.shape)}"
        )
    return pixels.cpu()


def with_channels(pixels: UInt8[Tensor, "c H W"], wanted: int) -> UInt8[Tensor, "w H W"]:
    """Repeat a grey image for a model of colours.

    Args:
        pixels: grey or colour.
        wanted: the model's channels.

    Returns:
        Pixels with the model's channels.

    Raises:
        ConfigError: the image has others, and is not grey.
    """
    if pixels.shape[0] == wanted:
        return pixels
    if pixels.shape[0] == 1:
        return pixels.expand(wanted, -1, -1)
    raise ConfigError(f"this model takes {wanted} channels, the image has {pixels.shape[0]}")


def to_grey(image: UInt8[Tensor, "3 H W"]) -> UInt8[Tensor, "1 H W"]:
    """Give the brightness of a colour image.

    Args:
        image: 8-bit pixels.

    Returns:
        Luma.
    """
    weights = torch.tensor(_LUMA).view(3, 1, 1)
    return (image.float() * weights).sum(dim=0, keepdim=True).round().to(torch.uint8)


def rows_at_once(width: int) -> int:
    """Tell how many rows of an image to compute with at a time, so that large ones need no more.

    Args:
        width: of the image.

    Returns:
        1 or more.
    """
    return max(1, _PIXELS_AT_ONCE // width)


def squared_error(image: UInt8[Tensor, "c H W"], other: UInt8[Tensor, "c H W"]) -> float:
    """Sum up the squared differences of two images.

    Args:
        image: the one.
        other: the other.

    Returns:
        The sum over pixels and channels, in squared levels; exact.

    Example:
        >>> image = torch.zeros(3, 2, 2, dtype=torch.uint8)
        >>> squared_error(image, image + 3)
        108.0
    """
    step, total = rows_at_once(int(image.shape[2])), 0
    for rows, others in zip(image.split(step, dim=1), other.split(step, dim=1), strict=True):
        total += int((rows.int() - others.int()).square().sum())
    return float(total)
