"""Measurements in words."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from bounds import THRESHOLDS, Checked
from gallery import Shown
from speed import Timed

from loopyvq.codec.importance import DEFAULT_TUNE
from loopyvq.evaluation.rd_curves import (
    Interval,
    bd_quality,
    bd_rate,
    compare,
    cut_to_rates,
    quality_at,
)
from loopyvq.evaluation.rd_points import RdPoint, systems_of
from loopyvq.evaluation.rd_report import mean_curve
from loopyvq.evaluation.rd_sets import compare_sets

RANGE = (0.1, 0.6)
"""Bits per pixel between which curves are compared."""
RATES = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6)
_MEASURES = {"psnr_db": "PSNR", "ms_ssim": "MS-SSIM"}
# Its setting is a ratio of bytes, the same for every image: it moves none between them.
_SET_BY_RATE = ("jpeg2000",)
_SET_MEASURES = {
    "pooled PSNR": ("psnr_db", True),
    "mean PSNR": ("psnr_db", False),
    "mean MS-SSIM": ("ms_ssim", False),
}


def bytes_table(points: Sequence[RdPoint], ours: Sequence[str]) -> str:
    """Give the bytes that our curves need, against every other one, at equal quality.

    Args:
        points: of all systems and images of a set.
        ours: the curves that are compared.

    Returns:
        Markdown.
    """
    columns = [(system, measure) for system in ours for measure in _MEASURES]
    heads = [f"{_tune(system)}: {_MEASURES[measure]}" for system, measure in columns]
    curves = _curves(points)
    rows = []
    for other in systems_of(points):
        if other not in ours:
            cells = [_bytes(curves, system, other, measure) for system, measure in columns]
            rows.append([other, *cells])
    return markdown(["against", *heads], rows)


def sets_table(points: Sequence[RdPoint], ours: Sequence[str]) -> str:
    """Give the bytes that our curves need for a whole set at one setting, as `bytes_table`."""
    by_system: dict[str, list[RdPoint]] = defaultdict(list)
    for point in points:
        by_system[point.system].append(point)
    rows = []
    for other in systems_of(points):
        if other in ours or other in _SET_BY_RATE:
            continue
        for system in ours:
            pair = by_system[system], by_system[other]
            found = [
                compare_sets([pair], RANGE, measure, pooled=pooled)
                for measure, pooled in _SET_MEASURES.values()
            ]
            cells = ["" if item is None else _interval(item, 1, " %") for item in found]
            rows.append([other, _tune(system), *cells])
    return markdown(["against", "tune", *_SET_MEASURES], rows)


def rates_table(points: Sequence[RdPoint], ours: str, measure: str) -> str:
    """Give the mean quality of all systems at equal bytes, and how far ours is ahead of them."""
    curves, rows = _curves(points), []
    digits = 2 if measure == "psnr_db" else 4
    for system in systems_of(points):
        cells = [system]
        for rate in RATES:
            read = [quality_at(curve, rate, measure) for curve in curves[system].values()]
            found = [value for value in read if value is not None]
            cells.append(f"{np.mean(found):.{digits}f}" if found else "")
            if found and len(found) < len(read):
                cells[-1] += f" ({len(found)})"
        cells.append("" if system == ours else _ahead(curves, ours, system, measure))
        rows.append(cells)
    unit = " dB" if measure == "psnr_db" else ""
    heads = [f"{_MEASURES[measure]}{unit} at", *(f"{rate:g} bpp" for rate in RATES)]
    return markdown([*heads, f"{ours} is ahead by"], rows)


def sizes_table(points: Sequence[RdPoint], system: str) -> str:
    """Give the mean file of a system at each of its settings."""
    rows = [
        [
            point.setting,
            f"{point.num_bytes:,}",
            f"{point.rate_bpp:.3f}",
            f"{point.psnr_db:.2f}",
            f"{point.ssim:.3f}",
            f"{point.ms_ssim:.4f}",
        ]
        for point in mean_curve(points, system, "psnr_db")
    ]
    return markdown(["threshold", "bytes", "bit/pixel", "PSNR dB", "SSIM", "MS-SSIM"], rows)


def bound_table(checked: Mapping[str, Sequence[Checked]]) -> str:
    """Give what the files of each set keep of their promise."""
    rows = []
    for name, files in checked.items():
        for threshold in THRESHOLDS:
            some = [file for file in files if file.threshold == threshold]
            sites = sum(file.num_sites for file in some)
            within = sum(round(file.share_within * file.num_sites) for file in some)
            rows.append(
                [
                    f"{name}, {threshold:g}",
                    f"{len(some)}",
                    f"{sites:,}",
                    f"{sites - within:,}",
                    f"{100 * within / sites:.3f} %",
                    f"{max(file.worst for file in some):.5f}",
                    f"{100 * sum(file.num_escaped for file in some) / sites:.2f} %",
                    f"{sum(file.num_bytes for file in some) / len(some):,.0f}",
                ]
            )
    heads = ["set, threshold", "files", "sites", "outside", "within", "worst site / threshold"]
    return markdown([*heads, "sites with a remainder", "bytes per file"], rows)


def speed_table(timed: Mapping[str, Timed]) -> str:
    """Give the times of all systems."""
    rows = [[name, *(f"{value:.3f}" for value in times)] for name, times in timed.items()]
    heads = ["compress s/MP", "decompress s/MP", "768 x 512: compress s", "decompress s"]
    return markdown(["", *heads], rows)


def gallery_table(shown: Sequence[Shown]) -> str:
    """Give size and quality of the gallery's files, whole images."""
    rows: dict[str, list[str]] = defaultdict(list)
    for entry in shown:
        words = f"{entry.num_bytes:,} bytes, {entry.psnr_db:.2f} dB, {entry.ms_ssim:.3f}"
        rows[entry.image].append(words)
    systems = list(dict.fromkeys(entry.system for entry in shown))
    return markdown(["", *systems], [[image, *cells] for image, cells in rows.items()])


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table; all columns but the first are numbers."""
    lines = [heads, *rows]
    written = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([written[0], "|---|" + "---:|" * (len(heads) - 1), *written[1:]])


def _tune(system: str) -> str:
    """Name one of our curves by what it is tuned for."""
    _, named, tune = system.rpartition("--tune ")
    return tune if named else DEFAULT_TUNE


def _curves(points: Sequence[RdPoint]) -> dict[str, dict[str, list[RdPoint]]]:
    curves: dict[str, dict[str, list[RdPoint]]] = defaultdict(lambda: defaultdict(list))
    for point in points:
        curves[point.system][point.image].append(point)
    return curves


def _bytes(
    curves: Mapping[str, Mapping[str, Sequence[RdPoint]]], ours: str, other: str, measure: str
) -> str:
    """Give bytes in per cent of the other's."""
    pairs = _pairs(curves, ours, other, measure)
    return _mean([bd_rate(*pair, measure) for pair in pairs], 1, " %")


def _ahead(
    curves: Mapping[str, Mapping[str, Sequence[RdPoint]]], ours: str, other: str, measure: str
) -> str:
    """Give the difference in quality at equal bytes."""
    found = [bd_quality(*pair, measure) for pair in _pairs(curves, ours, other, measure)]
    return _mean(found, 2, " dB") if measure == "psnr_db" else _mean(found, 4, "")


def _pairs(
    curves: Mapping[str, Mapping[str, Sequence[RdPoint]]], ours: str, other: str, measure: str
) -> list[list[list[RdPoint]]]:
    """Give both curves of every image within `RANGE`."""
    return [
        [cut_to_rates(some, RANGE, measure) for some in (curve, curves[other][image])]
        for image, curve in curves[ours].items()
    ]


def _mean(found: Sequence[float | None], digits: int, unit: str) -> str:
    """Give a mean over images with its interval, and how many they are where some are lacking."""
    kept = [value for value in found if value is not None]
    if not kept:
        return ""
    interval = compare(kept)
    some = f", {interval.num_images} images" if interval.num_images < len(found) else ""
    return _interval(interval, digits, unit, some)


def _interval(found: Interval, digits: int, unit: str, more: str = "") -> str:
    low, high = f"{found.low:+.{digits}f}", f"{found.high:+.{digits}f}"
    return f"{found.mean:+.{digits}f}{unit} ({low} to {high}{more})"
