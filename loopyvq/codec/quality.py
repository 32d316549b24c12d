"""How far a decoded image is from the original, by the measure that was asked for."""

import math

import torch
from jaxtyping import UInt8
from torch import Tensor

from loopyvq.codec.pixels import squared_error
from loopyvq.metrics.distortion import measure_distortion

__all__ = ["measure_quality"]


def measure_quality(
    kind: str, image: UInt8[Tensor, "c H W"], reference: UInt8[Tensor, "c H W"]
) -> float:
    """Measure an image.

    Args:
        kind: ``psnr_db``, ``ssim`` or ``pixel_error`` (the largest difference of a level).
        image: as decoded.
        reference: the original.

    Returns:
        The value; 100 dB for equal images, as a file can only hold finite numbers.

    Example:
        >>> reference = torch.zeros(1, 2, 2, dtype=torch.uint8)
        >>> measure_quality("pixel_error", reference + 3, reference)
        3.0
    """
    if kind == "ssim":
        return measure_distortion(image, reference).ssim
    if kind == "pixel_error":
        return float((image.to(torch.int16) - reference.to(torch.int16)).abs().max())
    error = squared_error(image, reference) / image.numel()
    return min(100.0, 10 * math.log10(255**2 / error)) if error else 100.0
