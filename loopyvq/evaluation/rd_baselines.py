"""The codecs that everybody has, through Pillow, over the range of rates that we reach."""

import io
from collections.abc import Iterator
from typing import Any, NamedTuple

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from loopyvq.data import decode_image, to_pil
from loopyvq.errors import DataError

__all__ = ["BASELINES", "Baseline", "baseline_files", "write_baseline"]


class Baseline(NamedTuple):
    """A codec of Pillow.

    Attributes:
        file_format: its name there.
        option: what sets the rate.
        values: of the option, from small files to large ones.
        fixed: other options.
    """

    file_format: str
    option: str
    values: tuple[float, ...]
    fixed: dict[str, Any]


BASELINES = {
    "jpeg": Baseline(
        "JPEG",
        "quality",
        (1, 3, 6, 10, 15, 25, 40, 60, 80),
        {"optimize": True, "progressive": True},
    ),
    "webp": Baseline("WEBP", "quality", (0, 3, 8, 15, 25, 40, 60, 80), {"method": 6}),
    "avif": Baseline("AVIF", "quality", (1, 5, 10, 20, 30, 40, 55, 70), {"speed": 6}),
    # Without "mct", Pillow codes red, green and blue apart, which costs 2.5 to 4 dB.
    "jpeg2000": Baseline(
        "JPEG2000",
        "quality_layers",
        (600, 300, 160, 100, 60, 40, 24, 14),
        {"irreversible": True, "mct": 1},
    ),
}
"""Every baseline, strongest settings that take no longer than a second."""


def write_baseline(name: str, image: UInt8[Tensor, "c H W"], value: int | float) -> bytes:
    """Write an image with a baseline.

    Args:
        name: one of `BASELINES`.
        image: 8-bit pixels.
        value: of the option that sets the rate.

    Returns:
        The file.

    Raises:
        DataError: the codec does not take such an image, as WebP none of over 16383 pixels.
    """
    codec, stream = BASELINES[name], io.BytesIO()
    setting = [value] if codec.file_format == "JPEG2000" else int(value)
    try:
        to_pil(image).save(stream, codec.file_format, **{codec.option: setting}, **codec.fixed)
    except (OSError, ValueError) as error:
        raise DataError(f"{name} cannot write this image: {error}") from error
    return stream.getvalue()


def baseline_files(
    name: str, image: UInt8[Tensor, "c H W"]
) -> Iterator[tuple[str, int, UInt8[Tensor, "c H W"]]]:
    """Write and read an image with a baseline at all of its settings.

    Args:
        name: one of `BASELINES`.
        image: 8-bit pixels.

    Yields:
        The setting, the file's size in bytes and the decoded image.

    Raises:
        DataError: see `write_baseline`.
    """
    codec = BASELINES[name]
    for value in codec.values:
        blob = write_baseline(name, image, value)
        if codec.file_format == "JPEG2000":  # which strangers' images may not be
            with Image.open(io.BytesIO(blob), formats=["JPEG2000"]) as opened:
                decoded = _to_png(opened)
        else:
            decoded = blob
        yield f"{value:g}", len(blob), decode_image(decoded, name, channels=int(image.shape[0]))


def _to_png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()
