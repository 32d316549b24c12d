"""Depth maps in image files."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from loopyvq.data.pixel_modes import to_grey_or_rgb

__all__ = ["read_depth"]


def read_depth(image: Image.Image) -> UInt8[np.ndarray, "H W"]:
    """Read the depth of a loaded picture, each map stretched to the whole range.

    8-bit, 16-bit and floating-point grey is taken as it is, of colours the brightness. A picture
    with four channels holds the four bytes of one little-endian float32 per pixel, which is how
    taming keeps what a depth estimator gave.

    Args:
        image: a loaded picture.

    Returns:
        0 for the smallest value of the map, 255 for the largest; 0 where all are equal.

    Raises:
        ValueError: a value is not finite.

    Example:
        >>> read_depth(Image.fromarray(np.array([[100, 150, 200]], dtype=np.uint8)))
        array([[  0, 128, 255]], dtype=uint8)
    """
    if image.mode == "RGBA":
        values = np.ascontiguousarray(np.asarray(image)).view("<f4")[..., 0].astype(np.float64)
    elif image.mode.startswith(("I", "F")):
        values = np.asarray(image).astype(np.float64)
    else:
        values = np.asarray(to_grey_or_rgb(image, 1)).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("it has depths that are not finite")
    least, most = values.min(), values.max()
    return np.rint(255 * ((values - least) / max(most - least, 1e-8))).astype(np.uint8)
