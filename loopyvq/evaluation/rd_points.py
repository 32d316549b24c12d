"""Real files and what is decoded from them: one point per image, system and setting."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jaxtyping import UInt8
from torch import Tensor

from loopyvq.metrics.distortion import measure_distortion

__all__ = ["RdPoint", "measure_point", "points_to_csv", "systems_of"]


class RdPoint(NamedTuple):
    """One file.

    Attributes:
        system: what made it.
        setting: with which setting.
        image: from which image.
        num_bytes: of the file.
        rate_bpp: bits per pixel, everything counted.
        psnr_db: of what was decoded.
        ssim: of what was decoded.
        ms_ssim: of what was decoded.
    """

    system: str
    setting: str
    image: str
    num_bytes: int
    rate_bpp: float
    psnr_db: float
    ssim: float
    ms_ssim: float


def measure_point(
    system: str,
    setting: str,
    name: str,
    num_bytes: int,
    decoded: UInt8[Tensor, "c H W"],
    image: UInt8[Tensor, "c H W"],
) -> RdPoint:
    """Measure a decoded file.

    Args:
        system: what made it.
        setting: with which setting.
        name: of the image.
        num_bytes: of the file.
        decoded: what the file holds.
        image: the original.

    Returns:
        The point.
    """
    found = measure_distortion(decoded, image)
    rate_bpp = 8 * num_bytes / (image.shape[1] * image.shape[2])
    return RdPoint(system, setting, name, num_bytes, rate_bpp, *found)


def points_to_csv(points: Iterable[RdPoint]) -> str:
    """Write points as a table.

    Args:
        points: in any order.

    Returns:
        CSV with a header line.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(RdPoint._fields)
    writer.writerows(points)
    return stream.getvalue()


def systems_of(points: Sequence[RdPoint]) -> list[str]:
    """List the systems in the order in which they come first."""
    return list(dict.fromkeys(point.system for point in points))
