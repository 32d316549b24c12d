"""Real files and what is decoded from them: one point per image, system and setting."""

import csv
import io
import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from jaxtyping import UInt8
from torch import Tensor

from loopyvq.errors import DataError
from loopyvq.metrics.distortion import measure_distortion

__all__ = [
    "MEASURES",
    "RdPoint",
    "measure_point",
    "measures_in",
    "points_from_csv",
    "points_to_csv",
    "systems_of",
]

# Quality as it is called in tables and charts; of all but the last, more is better.
MEASURES = {"psnr_db": "PSNR in dB", "ms_ssim": "MS-SSIM", "ssim": "SSIM", "lpips": "LPIPS"}


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
        lpips: of what was decoded, less is better; NaN where it was not measured.
    """

    system: str
    setting: str
    image: str
    num_bytes: int
    rate_bpp: float
    psnr_db: float
    ssim: float
    ms_ssim: float
    lpips: float = math.nan

    def quality(self, measure: str) -> float:
        """Give a measure so that more is better: LPIPS as its negative."""
        value = float(getattr(self, measure))
        return -value if measure == "lpips" else value


def measure_point(
    system: str,
    setting: str,
    name: str,
    num_bytes: int,
    decoded: UInt8[Tensor, "c H W"],
    image: UInt8[Tensor, "c H W"],
    lpips: Callable[[Tensor, Tensor], float] | None = None,
) -> RdPoint:
    """Measure a decoded file.

    Args:
        system: what made it.
        setting: with which setting.
        name: of the image.
        num_bytes: of the file.
        decoded: what the file holds.
        image: the original.
        lpips: measures a perceptual distance of two 8-bit images, if that is wanted.

    Returns:
        The point.
    """
    found = measure_distortion(decoded, image)
    rate_bpp = 8 * num_bytes / (image.shape[1] * image.shape[2])
    distance = math.nan if lpips is None else lpips(decoded, image)
    return RdPoint(system, setting, name, num_bytes, rate_bpp, *found, distance)


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


def points_from_csv(text: str) -> list[RdPoint]:
    """Read what `points_to_csv` wrote.

    Args:
        text: the table.

    Returns:
        The points.

    Raises:
        DataError: it is another table, or a rate cannot be.
    """
    rows = csv.DictReader(io.StringIO(text))
    try:
        if tuple(rows.fieldnames or ()) != RdPoint._fields:
            raise ValueError(f"columns {', '.join(rows.fieldnames or ())[:80]}")
        points = [
            RdPoint(
                row["system"],
                row["setting"],
                row["image"],
                int(row["num_bytes"]),
                *(float(row[name]) for name in RdPoint._fields[4:]),
            )
            for row in rows
        ]
        for point in points:
            if not 0 < point.rate_bpp < math.inf:
                raise ValueError(f"a rate of {point.rate_bpp:g} bits per pixel, it must be above 0")
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"this is no table of rates and distortions: {error!r}") from error
    return points


def measures_in(points: Sequence[RdPoint]) -> list[str]:
    """List what was measured of files, of `MEASURES`: tiny images have no SSIM, others may."""
    return [
        measure
        for measure in MEASURES
        if any(math.isfinite(point.quality(measure)) for point in points)
    ]


def systems_of(points: Sequence[RdPoint]) -> list[str]:
    """List the systems in the order in which they come first."""
    return list(dict.fromkeys(point.system for point in points))
