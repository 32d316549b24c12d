"""Structural similarity at one and at several scales, differentiable, in plain torch.

    image ----+--> local means, variances --> contrast of scale 1 --^w1--+
    reference-+             |                                            |
              +- 2 x 2 mean, again, ... ----> contrast of scale 2 --^w2--+--> product
                            |                                            |
              +- 2 x 2 mean, again, ... ----> SSIM of the last scale ^wm-+

Only places where the 11 x 11 window lies wholly inside the image count, at every scale, as in the
authors' code. torchmetrics 1.9 reflects the border in its SSIM and in the last scale of its
MS-SSIM, so its numbers differ from these (by up to 0.006 in what we measured).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

__all__ = ["SCALE_WEIGHTS", "ms_ssim", "scale_weights_for", "ssim"]

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first (Wang 2003, section 3.2; they sum to 1.0001)."""

_WINDOW_SIZE = 11
_WINDOW_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03
# x ** 0.0448 has an infinite slope at 0, and a zero would silence the gradient of other scales.
_SMALLEST_BASE = 1e-6


def ssim(
    image: Float[Tensor, "b c H W"],
    reference: Float[Tensor, "b c H W"],
    data_range: float,
) -> Float[Tensor, "b"]:
    """Measure the structural similarity of each image to its reference.

    Args:
        image: images of any value range; each side at least 11 px.
        reference: the images to compare with, of the same shape.
        data_range: largest minus smallest possible value, such as 2.0 for images in [-1, 1].

    Returns:
        The mean SSIM over all channels and window positions, in [-1, 1], 1 for equal images;
        float64 for float64 images, float32 for all others, also under autocast.

    Raises:
        ValueError: the shapes differ, a side is under 11 px, or the range is not positive.

    Example:
        >>> image = torch.linspace(-1, 1, 256).view(1, 1, 16, 16)
        >>> ssim(image, image, data_range=2.0)
        tensor([1.])

    References:
        Image quality assessment: from error visibility to structural similarity, 2004, eq. 13,
        https://doi.org/10.1109/TIP.2003.819861
    """
    _require_comparable(image, reference, data_range, num_scales=1)
    with torch.autocast(image.device.type, enabled=False):
        similarity, _ = _similarity_and_contrast(_widen(image), _widen(reference), data_range)
    return similarity


def ms_ssim(
    image: Float[Tensor, "b c H W"],
    reference: Float[Tensor, "b c H W"],
    data_range: float,
    scale_weights: tuple[float, ...] = SCALE_WEIGHTS,
) -> Float[Tensor, "b"]:
    """Measure the structural similarity of each image to its reference over several scales.

    A scale whose mean term is under 1e-6 (negative ones too) counts as 1e-6: its own gradient is
    zero there, and the gradient of the other scales stays finite and alive.

    Args:
        image: images of any value range; each side at least 11 px at the coarsest scale.
        reference: the images to compare with, of the same shape.
        data_range: largest minus smallest possible value, such as 2.0 for images in [-1, 1].
        scale_weights: positive exponents, finest scale first; every further scale halves the sides
            (an odd last row or column is dropped). See `scale_weights_for` for small images.

    Returns:
        The MS-SSIM in (0, 1], 1 for equal images; float64 for float64 images, float32 for all
        others, also under autocast.

    Raises:
        ValueError: the shapes differ, a side is too small for that many scales, or the range or a
            weight is not positive.

    Example:
        >>> image = torch.linspace(-1, 1, 1024).view(1, 1, 32, 32)
        >>> ms_ssim(image, image, data_range=2.0, scale_weights=scale_weights_for(32))
        tensor([1.])

    References:
        Multi-scale structural similarity for image quality assessment, 2003, eq. 7,
        https://doi.org/10.1109/ACSSC.2003.1292216
    """
    _require_weights(scale_weights)
    _require_comparable(image, reference, data_range, num_scales=len(scale_weights))
    with torch.autocast(image.device.type, enabled=False):
        image, reference = _widen(image), _widen(reference)
        product = image.new_ones(image.shape[0])
        for scale, weight in enumerate(scale_weights):
            if scale > 0:
                image, reference = F.avg_pool2d(image, 2), F.avg_pool2d(reference, 2)
            similarity, contrast = _similarity_and_contrast(image, reference, data_range)
            base = similarity if scale == len(scale_weights) - 1 else contrast
            product = product * base.clamp(min=_SMALLEST_BASE).pow(weight)
    return product


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
    if size < _WINDOW_SIZE:
        raise ValueError(
            f"size must be at least the SSIM window's {_WINDOW_SIZE} px, got {size}: "
            "use larger images or crops"
        )
    num_scales = min(len(SCALE_WEIGHTS), (size // _WINDOW_SIZE).bit_length())
    if num_scales == len(SCALE_WEIGHTS):
        return SCALE_WEIGHTS
    total = math.fsum(SCALE_WEIGHTS[:num_scales])
    return tuple(weight / total for weight in SCALE_WEIGHTS[:num_scales])


def _similarity_and_contrast(
    image: Tensor, reference: Tensor, data_range: float
) -> tuple[Tensor, Tensor]:
    """Return the mean SSIM and the mean of its contrast-structure factor, both of shape ``b``."""
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


def _blur(maps: Tensor) -> Tensor:
    """Average each plane under the Gaussian window, row-wise then column-wise; 10 px get lost."""
    offsets = torch.arange(_WINDOW_SIZE, dtype=maps.dtype, device=maps.device) - _WINDOW_SIZE // 2
    window = torch.exp(-offsets.square() / (2 * _WINDOW_SIGMA**2))
    window = window / window.sum()
    planes = maps.shape[1]
    row = window.view(1, 1, 1, -1).expand(planes, 1, 1, -1)
    return F.conv2d(F.conv2d(maps, row, groups=planes), row.transpose(2, 3), groups=planes)


def _widen(image: Tensor) -> Tensor:
    return image if image.dtype == torch.float64 else image.float()


def _require_weights(scale_weights: tuple[float, ...]) -> None:
    if not scale_weights or not all(0 < weight < math.inf for weight in scale_weights):
        raise ValueError(
            f"scale_weights must be one or more positive numbers, got {scale_weights}: "
            "take SCALE_WEIGHTS or scale_weights_for(size)"
        )


def _require_comparable(
    image: Tensor, reference: Tensor, data_range: float, num_scales: int
) -> None:
    if image.ndim != 4 or image.shape != reference.shape:
        raise ValueError(
            "image and reference must have one shape (b, c, H, W), got "
            f"{tuple(image.shape)} and {tuple(reference.shape)}: crop or resize one of them"
        )
    if not 0 < data_range < math.inf:
        raise ValueError(
            f"data_range must be a positive number, got {data_range}: use 2.0 for [-1, 1]"
        )
    smallest = _WINDOW_SIZE << (num_scales - 1)
    if min(image.shape[2:]) < smallest:
        raise ValueError(
            f"{num_scales} scale(s) need sides of at least {smallest} px, got "
            f"{image.shape[2]} x {image.shape[3]}: use larger images or fewer scales, "
            "see scale_weights_for"
        )
