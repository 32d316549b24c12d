"""From the bytes of an image file to a tensor, and between the two number ranges.

    bytes --decode_image--> uint8 [0, 255] --to_float--> float32 [-1, 1] --to_uint8--> uint8

Every file that cannot be read, whatever its bytes, is a `BrokenImageError` and nothing else.
"""

import io
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from loopyvq.data.pixel_modes import to_grey_or_rgb
from loopyvq.data.quiet_pillow import quiet_pillow
from loopyvq.errors import DataError

__all__ = [
    "MAX_PIXELS",
    "BrokenImageError",
    "decode_image",
    "decode_with",
    "to_float",
    "to_pil",
    "to_uint8",
]

MAX_PIXELS = 200_000_000

# Named one by one: Pillow knows formats that start other programs (EPS) or open further files.
_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM")

_ORIENTATION_TAG = 0x0112
# EXIF 2.3, table 5: how to turn the stored pixels so that they stand upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BrokenImageError(DataError):
    """An image that cannot be read; its message is one line that names the image.

    Args:
        name: what the image is called: a path or the name of an archive's member.
        reason: why it cannot be read.

    Example:
        >>> print(BrokenImageError("cat.jpg", "it is truncated"))
        cannot read the image cat.jpg: it is truncated
    """

    # `reason` may be absent because torch rebuilds a worker's exception from its message alone.
    def __init__(self, name: str, reason: str = "") -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = " ".join(reason.split())[:300]

    def __str__(self) -> str:
        name = " ".join(self.name.split())
        return f"cannot read the image {name}: {self.reason}" if self.reason else name


def decode_image(
    blob: bytes, name: str, *, channels: int = 3, max_pixels: int = MAX_PIXELS
) -> UInt8[Tensor, "c H W"]:
    """Decode a JPEG, PNG, WebP, AVIF, TIFF, BMP, GIF or PPM file into 8-bit grey or RGB.

    The first frame or page is taken and turned upright as its EXIF orientation says (an absent or
    unreadable orientation means upright). Transparency is composited over white. 16-bit, integer
    and floating-point grey is scaled to 8 bits, see `loopyvq.data.pixel_modes`. CMYK, YCbCr, LAB
    and palettes become RGB; embedded colour profiles are not applied.

    Args:
        blob: the whole file.
        name: what to call the image in errors.
        channels: 3 for RGB, 1 for luma (ITU-R 601).
        max_pixels: most pixels that are decoded, at least 1; checked against the header, before
            the pixels take any memory.

    Returns:
        The pixels, 0 to 255.

    Raises:
        BrokenImageError: the bytes are no image of a known format, are damaged or truncated, or
            the header announces more than ``max_pixels`` pixels.
        ValueError: ``channels`` is neither 1 nor 3.

    Example:
        >>> decode_image(b"no image", "cat.jpg")
        Traceback (most recent call last):
        ...
        loopyvq.data.decoding.BrokenImageError: cannot read the image cat.jpg: ...
    """
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (RGB), got {channels}")
    pixels = decode_with(
        lambda image: np.asarray(to_grey_or_rgb(image, channels)), blob, name, max_pixels
    )
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return torch.from_numpy(np.array(planes, order="C"))


def decode_with(
    convert: Callable[[Image.Image], np.ndarray], blob: bytes, name: str, max_pixels: int
) -> np.ndarray:
    """Decode a file of one of the formats of `decode_image`, turn it upright and convert it.

    Args:
        convert: what to make of the loaded image; whatever it raises makes the image broken.
        blob: the whole file.
        name: what to call the image in errors.
        max_pixels: most pixels that are decoded, at least 1.

    Returns:
        What ``convert`` gives.

    Raises:
        BrokenImageError: as of `decode_image`, or ``convert`` raised.
    """
    try:
        with quiet_pillow():
            return _decode(convert, blob, name, max_pixels)
    except BrokenImageError:
        raise
    except UnidentifiedImageError as error:
        raise BrokenImageError(name, "it is no image of a known format") from error
    # A decoder fed with arbitrary bytes fails in arbitrary ways (SyntaxError, struct.error,
    # MemoryError, ...); all of them mean the same to the reader of a data set.
    except Exception as error:
        raise BrokenImageError(name, str(error) or type(error).__name__) from error


def _decode(
    convert: Callable[[Image.Image], np.ndarray], blob: bytes, name: str, max_pixels: int
) -> np.ndarray:
    with Image.open(io.BytesIO(blob), formats=_FORMATS) as image:
        width, height = image.size
        if width * height > max_pixels:
            reason = f"it has {width} x {height} pixels, more than the allowed {max_pixels}"
            raise BrokenImageError(name, reason)
        image.load()
        if image.size[0] * image.size[1] > max_pixels or 0 in image.size:
            raise BrokenImageError(name, f"its {image.size} pixels contradict its header")
        return convert(_upright(image))


def _upright(image: Image.Image) -> Image.Image:
    """Undo the camera's rotation; ImageOps.exif_transpose would also rewrite the EXIF and fail."""
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG)
    except Exception:  # any damage to this side note leaves the pixels intact
        return image
    if not isinstance(orientation, int) or orientation not in _UPRIGHT:
        return image
    turned = image.transpose(_UPRIGHT[orientation])
    turned.info = image.info  # the transparent colour lives there
    return turned


def to_float(image: UInt8[Tensor, "*b c H W"]) -> Float[Tensor, "*b c H W"]:
    """Map 8-bit pixels to [-1, 1], the range all networks see.

    Args:
        image: pixels, 0 to 255.

    Returns:
        ``image / 127.5 - 1`` as float32; `to_uint8` inverts it exactly.

    Example:
        >>> to_float(torch.tensor([[[0, 255]]], dtype=torch.uint8)).tolist()
        [[[-1.0, 1.0]]]
    """
    return image.to(torch.float32) / 127.5 - 1.0


def to_uint8(image: Float[Tensor, "*b c H W"]) -> UInt8[Tensor, "*b c H W"]:
    """Map [-1, 1] to 8-bit pixels, rounding to the nearest and clamping what lies outside.

    Args:
        image: finite values of any floating type, nominally in [-1, 1].

    Returns:
        The pixels, 0 to 255.

    Example:
        >>> to_uint8(torch.tensor([[[-7.0, 0.0, 1.0]]])).tolist()
        [[[0, 128, 255]]]
    """
    return ((image.to(torch.float32) + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)


def to_pil(image: UInt8[Tensor, "c H W"]) -> Image.Image:
    """Wrap 8-bit pixels as a Pillow image, to save or show them.

    Args:
        image: one (grey) or three (RGB) channels, on any device.

    Returns:
        An image of mode "L" or "RGB".

    Raises:
        ValueError: the image has neither 1 nor 3 channels.

    Example:
        >>> to_pil(torch.zeros(3, 2, 5, dtype=torch.uint8)).size
        (5, 2)
    """
    if image.shape[0] not in (1, 3):
        raise ValueError(f"an image has 1 or 3 channels, got {image.shape[0]}")
    pixels = image.detach().cpu().permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(pixels[:, :, 0] if image.shape[0] == 1 else pixels)
