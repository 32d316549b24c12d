"""Where an image has edges."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from loopyvq.data.decoding import to_pil
from loopyvq.errors import DataError

__all__ = ["canny_edges", "sobel_edges"]


def sobel_edges(image: UInt8[Tensor, "c H W"]) -> Float[Tensor, "1 H W"]:
    """Measure how steep the brightness is at every pixel.

    With the 8-bit luma Y (ITU-R 601), its border repeated, and

        gx = [1 2 1]^T [-1 0 1] * Y,   gy = [-1 0 1]^T [1 2 1] * Y,   m = sqrt(gx^2 + gy^2)

    an edge is ``2 min(1, m / 255) - 1``: a step by a quarter of the range from black to white is
    as strong as an edge gets.

    Args:
        image: pixels with 1 or 3 channels.

    Returns:
        -1 where the image is flat to 1 at a strong edge; the same on every machine.

    References:
        I. Sobel and G. Feldman, "A 3x3 isotropic gradient operator for image processing", 1968.

    Example:
        >>> step = torch.tensor([[[0, 0, 64, 64]]], dtype=torch.uint8)
        >>> sobel_edges(step).tolist()
        [[[-1.0, 1.0, 1.0, -1.0]]]
    """
    # Whole numbers up to the root, which IEEE 754 rounds correctly.
    luma = np.pad(_luma(image).astype(np.int64), 1, mode="edge")
    down = luma[:-2] + 2 * luma[1:-1] + luma[2:]
    across = luma[:, :-2] + 2 * luma[:, 1:-1] + luma[:, 2:]
    gx, gy = down[:, 2:] - down[:, :-2], across[2:] - across[:-2]
    strength = np.minimum(1.0, np.sqrt(gx * gx + gy * gy) / 255)
    return torch.from_numpy(2 * strength - 1).float()[None]


def canny_edges(image: UInt8[Tensor, "c H W"], sigma: float) -> Float[Tensor, "1 H W"]:
    """Draw thin lines along the edges, with scikit-image's Canny detector on the luma in [0, 1].

    Args:
        image: pixels with 1 or 3 channels.
        sigma: width of the blur before, in pixels, above 0; taming takes 2.

    Returns:
        1 on a line, -1 elsewhere.

    Raises:
        DataError: scikit-image is not installed.

    References:
        J. Canny, "A computational approach to edge detection", 1986,
        https://doi.org/10.1109/TPAMI.1986.4767851
    """
    try:
        from skimage.feature import canny
    except ModuleNotFoundError as error:
        raise DataError(
            "canny edges come from scikit-image, which is not installed: pip install "
            "'loopyvq[samples]', or choose sobel"
        ) from error
    lines = canny(_luma(image) / 255.0, sigma=sigma)
    return torch.from_numpy(2.0 * lines - 1).float()[None]


def _luma(image: Tensor) -> np.ndarray:
    return np.asarray(to_pil(image).convert("L"))
