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

from loopyvq.ops.similarity import (
    SCALE_WEIGHTS,
    WINDOW_SIZE,
    scale_weights_for,
    similarity_and_contrast,
)

__all__ = ["SCALE_WEIGHTS", "ms_ssim", "scale_weights_for", "ssim"]

# x ** 0.0448 has an infinite slope at 0, and a zero would silence the gradient of other scales.
_SMALLEST_BASE = 1e-6


def ssim(
    image: Float[Tensor, "b c H W"],
    reference: Float[Tensor, "b c H W"],
    data_range: float,
) -> Float[Tensor, " b"]:
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
        similarity, _ = similarity_and_contrast(_widen(image), _widen(reference), data_range)
    return similarity


def ms_ssim(
    image: Float[Tensor, "b c H W"],
    reference: Float[Tensor, "b c H W"],
    data_range: float,
    scale_weights: tuple[float, ...] = SCALE_WEIGHTS,
) -> Float[Tensor, " b"]:
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
            similarity, contrast = similarity_and_contrast(image, reference, data_range)
            base = similarity if scale == len(scale_weights) - 1 else contrast
            product = product * base.clamp(min=_SMALLEST_BASE).pow(weight)
    return product


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
    smallest = WINDOW_SIZE << (num_scales - 1)
    if min(image.shape[2:]) < smallest:
        raise ValueError(
            f"{num_scales} scale(s) need sides of at least {smallest} px, got "
            f"{image.shape[2]} x {image.shape[3]}: use larger images or fewer scales, "
            "see scale_weights_for"
        )
