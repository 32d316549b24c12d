"""How far an 8-bit image lies from its reference: PSNR, SSIM and MS-SSIM, by torchmetrics.

torchmetrics computes the maps, we average them only where the 11 x 11 window lies wholly inside the
image, as the authors' code and scikit-image do. torchmetrics' own averages also count reflected
borders (SSIM off by 0.006 on a 176 px photograph), which would not compare with published numbers.
"""

import math
from types import ModuleType
from typing import NamedTuple

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Distortion", "measure_distortion"]

_DATA_RANGE = 255.0
_WINDOW_SIZE = 11
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # finest first; Wang 2003, section 3.2


class Distortion(NamedTuple):
    """The distortion of one image.

    Attributes:
        psnr_db: peak signal-to-noise ratio in dB, from the mean squared error over all channels;
            ``inf`` for equal images.
        ssim: structural similarity in [-1, 1], mean over channels; NaN if a side is under 11 px.
        ms_ssim: multi-scale structural similarity in [0, 1]; NaN if a side is under 11 px.
    """

    psnr_db: float
    ssim: float
    ms_ssim: float


def measure_distortion(
    image: UInt8[Tensor, "c H W"], reference: UInt8[Tensor, "c H W"]
) -> Distortion:
    """Measure how far an 8-bit image lies from its reference.

    MS-SSIM has its five published scales if both sides are at least 176 px: the coarsest scale must
    hold the 11 px window. Smaller images use the longest prefix of the scales that fits (four from
    88 px, three from 44, two from 22, one from 11), its weights divided by their sum; such values
    do not compare with those of larger images.

    Args:
        image: the image to judge, grey or colour, values 0 to 255.
        reference: the original, of the same shape.

    Returns:
        The PSNR in dB, the SSIM and the MS-SSIM of the 8-bit values, the latter two in float32:
        some 20 times faster than in float64, and off by 2e-4 at worst (noise on a near-white
        image), by under 5e-5 on photographs.

    Raises:
        ValueError: the tensors are not 8-bit, not of shape (c, H, W), or differ in shape.
        ImportError: torchmetrics is not installed.

    Example:
        >>> reference = (torch.arange(48 * 48).view(1, 48, 48) // 10).byte()
        >>> distortion = measure_distortion(reference ^ 2, reference)
        >>> f"{distortion.psnr_db:.2f} dB, SSIM {distortion.ssim:.3f}"
        '42.11 dB, SSIM 0.977'

    References:
        Image quality assessment: from error visibility to structural similarity, 2004,
        https://doi.org/10.1109/TIP.2003.819861;
        Multi-scale structural similarity for image quality assessment, 2003,
        https://doi.org/10.1109/ACSSC.2003.1292216
    """
    _require_comparable(image, reference)
    functional = _import_functional()
    psnr = functional.peak_signal_noise_ratio(
        image.double(), reference.double(), data_range=_DATA_RANGE
    )
    if min(image.shape[1:]) < _WINDOW_SIZE:
        return Distortion(float(psnr), math.nan, math.nan)
    pair = (image[None].float(), reference[None].float())
    return Distortion(float(psnr), _ssim(functional, *pair), _ms_ssim(functional, *pair))


def _ssim(functional: ModuleType, image: Tensor, reference: Tensor) -> float:
    _, similarity_map = functional.structural_similarity_index_measure(
        image, reference, data_range=_DATA_RANGE, return_full_image=True
    )
    border = _WINDOW_SIZE // 2
    return float(similarity_map[..., border:-border, border:-border].mean())


def _contrast(functional: ModuleType, image: Tensor, reference: Tensor) -> float:
    _, contrast = functional.structural_similarity_index_measure(
        image, reference, data_range=_DATA_RANGE, return_contrast_sensitivity=True
    )
    return float(contrast)


def _ms_ssim(functional: ModuleType, image: Tensor, reference: Tensor) -> float:
    """Multiply the contrast of the finer scales and the SSIM of the coarsest, negatives as 0."""
    weights = _weights_for(min(image.shape[2:]))
    product = 1.0
    for weight in weights[:-1]:
        product *= max(_contrast(functional, image, reference), 0.0) ** weight
        image, reference = F.avg_pool2d(image, 2), F.avg_pool2d(reference, 2)
    coarsest: float = max(_ssim(functional, image, reference), 0.0) ** weights[-1]
    return product * coarsest


def _weights_for(size: int) -> tuple[float, ...]:
    """Return the weights of the scales that fit; all five stay as published (sum 1.0001)."""
    num_scales = min(len(_SCALE_WEIGHTS), (size // _WINDOW_SIZE).bit_length())
    if num_scales == len(_SCALE_WEIGHTS):
        return _SCALE_WEIGHTS
    total = math.fsum(_SCALE_WEIGHTS[:num_scales])
    return tuple(weight / total for weight in _SCALE_WEIGHTS[:num_scales])


def _import_functional() -> ModuleType:
    try:
        from torchmetrics.functional import image as functional
    except ImportError as error:
        raise ImportError(
            "measuring distortion needs torchmetrics: pip install 'loopyvq[eval]'"
        ) from error
    module: ModuleType = functional
    return module


def _require_comparable(image: Tensor, reference: Tensor) -> None:
    if image.dtype != torch.uint8 or reference.dtype != torch.uint8:
        raise ValueError(
            f"image and reference must be torch.uint8, got {image.dtype} and {reference.dtype}: "
            "round images in [-1, 1] to 0..255 first"
        )
    if image.ndim != 3 or image.shape != reference.shape:
        raise ValueError(
            "image and reference must have one shape (c, H, W), got "
            f"{tuple(image.shape)} and {tuple(reference.shape)}: measure one image at a time, "
            "cropped or resized to its reference"
        )
