"""Every way Pillow can hold pixels, brought to 8-bit grey ("L") or "RGB".

What counts as white where a file does not say:

- 16-bit integers: 65535.
- 32-bit integers: 65535 if no pixel exceeds it, else the type's own maximum, 2^31 - 1.
- floating point: the smallest of 1, 255 and 65535 that no pixel exceeds.

Pillow itself reads 16-bit RGB as its upper 8 bits; the transparent colour (tRNS) of such a PNG is
lost.
"""

import functools
from typing import Any

import numpy as np
from PIL import Image, ImageCms

__all__ = ["to_grey_or_rgb"]


def to_grey_or_rgb(image: Image.Image, channels: int) -> Image.Image:
    """Convert a loaded image of any mode to 8-bit grey or RGB, composited over white.

    Args:
        image: a loaded image.
        channels: 1 for grey, 3 for RGB.

    Returns:
        An image of mode "L" or "RGB".

    Raises:
        ValueError: the pixels cannot be converted: negative or non-finite values, floating-point
            values above 65535, or a mode that Pillow itself cannot convert.

    Example:
        >>> to_grey_or_rgb(Image.new("I;16", (1, 1), 65535), 3).getpixel((0, 0))
        (255, 255, 255)
    """
    if image.mode.startswith(("I", "F")):
        image = _deep_grey_to_8_bit(image)
    elif image.mode == "LAB":
        image = _lab_to_rgb(image)
    elif image.has_transparency_data:
        image = _over_white(image)
    if channels == 1:
        # Luma is defined on RGB; Pillow cannot go from every colour space straight to grey.
        return image if image.mode == "L" else _convert(_convert(image, "RGB"), "L")
    return _convert(image, "RGB")


def _convert(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)


def _over_white(image: Image.Image) -> Image.Image:
    # Premultiplied grey has no way to RGBA but through plain grey with alpha.
    image = image.convert("LA") if image.mode == "La" else image
    image = _convert(image, "RGBA")
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, image).convert("RGB")


def _deep_grey_to_8_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all() or values.min() < 0:
        raise ValueError("it has negative or non-finite pixel values")
    grey = np.rint(values * (255.0 / _white_point(image.mode, float(values.max()))))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey.astype(np.uint8))


def _white_point(mode: str, largest: float) -> float:
    if mode.startswith("I;16"):
        return 65535.0
    if mode.startswith("I"):
        return 65535.0 if largest <= 65535 else 2.0**31 - 1
    for white in (1.0, 255.0, 65535.0):
        if largest <= white:
            return white
    raise ValueError(f"its floating-point pixels reach {largest:g}, above every usual white point")


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    converted = ImageCms.applyTransform(image, _lab_transform())
    if converted is None:  # only where asked to convert in place
        raise ValueError("its LAB colours cannot be converted")
    return converted


@functools.cache
def _lab_transform() -> Any:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, srgb, "LAB", "RGB")
