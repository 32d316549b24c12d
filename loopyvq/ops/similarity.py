"""Structural similarity of one scale, and the weights of several: for losses and for measurements.

Only places where the 11 x 11 window lies wholly inside the image count, as in the authors' code.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

__all__ = ["SCALE_WEIGHTS", "WINDOW_SIZE", "scale_weights_for", "similarity_and_contrast"]

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first (Wang 2003, section 3.2; they sum to 1.0001)."""

WINDOW_SIZE = 11
_WINDOW_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03


def similarity_and_contrast(
    image: Float[Tensor, "b c H W"], reference: Float[Tensor, "b c H W"], data_range: float
) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
    """Measure the structural similarity of images, and its part that ignores brightness.

    Args:
        image: images, each side at least 11 px.
        reference: of the same shape and type.
        data_range: largest minus smallest possible value, above 0.

    Returns:
        The means of the similarity and of its contrast-structure factor over channels and places.

    References:
        Image quality assessment: from error visibility to structural similarity, 2004, eq. 13,
        https://doi.org/10.1109/TIP.2003.819861
    """
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    # The two variances are only ever needed as a sum: four maps to blur instead of five.
    energy = image.square() + reference.square()
    maps = torch.cat((image, reference, energy, image * reference), dim=1)
    mean, reference_mean, energy, product = _blur(maps).chunk(4, dim=1)
    mean_product = mean * reference_mean
    mean_energy = mean.square() + reference_mean.square()
    contrast = (2 * (product - mean_product) + c2) / (energy - mean_energy + c2)
    luminance = (2 * mean_product + c1) / (mean_energy + c1)
    return (luminance * contrast).mean(dim=(1, 2, 3)), contrast.mean(dim=(1, 2, 3))


def scale_weights_for(size: int) -> tuple[float, ...]:
    """Return the weights of as many of the five scales as an image has room for.

    Args:
        size: the smaller side of the image in px, at least 11. Five scales need 176 px, four 88,
            three 44, two 22: the coarsest must still hold the 11 px window.

    Returns:
        The longest usable prefix of `SCALE_WEIGHTS`: all five as published, a shorter one divided
        by its sum so that it sums to 1.

    Raises:
        ValueError: the size is under 11 px.

    Example:
        >>> [round(weight, 4) for weight in scale_weights_for(64)]
        [0.0711, 0.453, 0.476]
    """
    if size < WINDOW_SIZE:
        raise ValueError(
            f"size must be at least the SSIM window's {WINDOW_SIZE} px, got {size}: "
            "use larger images or crops"
        )
    num_scales = min(len(SCALE_WEIGHTS), (size // WINDOW_SIZE).bit_length())
    if num_scales == len(SCALE_WEIGHTS):
        return SCALE_WEIGHTS
    total = math.fsum(SCALE_WEIGHTS[:num_scales])
    return tuple(weight / total for weight in SCALE_WEIGHTS[:num_scales])


def _blur(maps: Tensor) -> Tensor:
    """Average each plane under the Gaussian window, row-wise then column-wise; 10 px get lost."""
    offsets = torch.arange(WINDOW_SIZE, dtype=maps.dtype, device=maps.device) - WINDOW_SIZE // 2
    window = torch.exp(-offsets.square() / (2 * _WINDOW_SIGMA**2))
    window = window / window.sum()
    planes = maps.shape[1]
    row = window.view(1, 1, 1, -1).expand(planes, 1, 1, -1)
    return F.conv2d(F.conv2d(maps, row, groups=planes), row.transpose(2, 3), groups=planes)
