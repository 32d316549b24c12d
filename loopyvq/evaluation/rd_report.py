"""Points to a table that a person can read, and to a picture."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from loopyvq.errors import ConfigError
from loopyvq.evaluation.rd_curves import Interval, bd_quality, bd_rate, compare, quality_at
from loopyvq.evaluation.rd_points import MEASURES, RdPoint, measures_in, systems_of

__all__ = ["RATES", "Row", "cells_of", "compare_systems", "mean_curve", "plot_curves"]

RATES = (0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
"""Bits per pixel at which tables look."""

_DIGITS = {"psnr_db": 2}
# What charts show: below, images are unrecognisable; above, files of photographs hardly matter.
_CHARTED_BPP = (0.03, 1.5)


class Row(NamedTuple):
    """One system against another.

    Attributes:
        system: its name.
        rates: from the mean rate of its smallest files to that of its largest.
        means: quality at each of `RATES`, averaged over the images that reach it; None if none do.
        counts: how many those are.
        gain: difference in quality at equal bytes; None if the two do not overlap.
        bytes_percent: bytes that it needs more at equal quality; None if they do not overlap.
    """

    system: str
    rates: tuple[float, float]
    means: list[float | None]
    counts: list[int]
    gain: Interval | None
    bytes_percent: Interval | None


def compare_systems(
    points: Sequence[RdPoint],
    measure: str = "psnr_db",
    most_bpp: float = RATES[-1],
    against: str | None = None,
) -> list[Row]:
    """Compare all systems with one of them, image by image.

    Args:
        points: of all systems and images; those without this measure, as MS-SSIM of tiny images,
            and those of no finite quality are left out.
        measure: one of `MEASURES`.
        most_bpp: where the range of rates ends over which gains are averaged.
        against: the one; by default the first.

    Returns:
        A row per system.

    Raises:
        ConfigError: there is no such system.
    """
    systems = systems_of(points)
    against = systems[0] if against is None else against
    if against not in systems:
        raise ConfigError(f"there is no system {against!r}, but {', '.join(systems)}")
    groups = _by_system([point for point in points if np.isfinite(point.quality(measure))])
    first = groups.get(against, {})
    rows = []
    for system, images in groups.items():
        pairs = [(images[name], first[name]) for name in images if name in first]
        gains = [bd_quality(ours, theirs, measure, most_bpp) for ours, theirs in pairs]
        rates = [bd_rate(ours, theirs, measure) for ours, theirs in pairs]
        curves = list(images.values())
        found = [
            [
                value
                for value in (quality_at(curve, rate, measure) for curve in curves)
                if value is not None
            ]
            for rate in RATES
        ]
        means = [float(np.mean(values)) if values else None for values in found]
        counts = list(map(len, found))
        rows.append(Row(system, _range(curves), means, counts, _interval(gains), _interval(rates)))
    return rows


def cells_of(rows: Sequence[Row], measure: str) -> list[list[str]]:
    """Write rows in words.

    Args:
        rows: of `compare_systems`.
        measure: what they compare.

    Returns:
        Lines of cells; the first line holds the heads.
    """
    digits, sign = _DIGITS.get(measure, 4), -1 if measure == "lpips" else 1
    unit = " dB" if measure == "psnr_db" else ""
    heads = [MEASURES[measure], "own bpp", *(f"{rate:g} bpp" for rate in RATES)]
    lines = [[*heads, "gain at equal bytes", "bytes at equal quality"]]
    everywhere = max((row.gain.num_images for row in rows if row.gain), default=0)
    most = max((count for row in rows for count in row.counts), default=0)
    for row in rows:
        cells = [
            "" if mean is None else f"{sign * mean:.{digits}f}" + f" ({count})" * (count < most)
            for mean, count in zip(row.means, row.counts, strict=True)
        ]
        low, high = row.rates
        own = f"{low:.2f}" + f" to {high:.2f}" * (high > low)
        gain = _words(row.gain, digits, unit, everywhere)
        more = _words(row.bytes_percent, 1, " %", everywhere)
        lines.append([row.system, own, *cells, gain, more])
    return lines


def mean_curve(points: Sequence[RdPoint], system: str, measure: str) -> list[RdPoint]:
    """Average each setting of a system over the images.

    Args:
        points: of all systems and images.
        system: the one to average.
        measure: what must be there; points without it are left out.

    Returns:
        One point per setting, by rising rate, as far as charts show them.
    """
    settings: dict[str, list[RdPoint]] = {}
    for point in points:
        if point.system == system and np.isfinite(point.quality(measure)):
            settings.setdefault(point.setting, []).append(point)
    means = [_mean(system, setting, some) for setting, some in settings.items()]
    low, high = _CHARTED_BPP
    kept = [point for point in means if low <= point.rate_bpp <= high]
    return sorted(kept, key=lambda point: point.rate_bpp)


def plot_curves(points: Sequence[RdPoint]) -> bytes:
    """Draw mean curves of all measures but SSIM, each point a setting's means over images.

    Where there is nothing but SSIM, it is drawn.

    Args:
        points: of all systems and images.

    Returns:
        A PNG file.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import ScalarFormatter

    measures = [measure for measure in measures_in(points) if measure != "ssim"] or ["ssim"]
    figure = Figure(figsize=(6.5 * len(measures), 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    subplots = figure.subplots(1, len(measures), squeeze=False)[0]
    for axes, measure in zip(subplots, measures, strict=True):
        for index, system in enumerate(systems_of(points)):
            curve = mean_curve(points, system, measure)
            x = [point.rate_bpp for point in curve]
            y = [getattr(point, measure) for point in curve]
            style = {"linestyle": "-" if index < 6 else "--", "marker": "osD^vP*X"[index % 8]}
            axes.plot(x, y, markersize=4, linewidth=1.6, label=system, **style)
        axes.set(xscale="log", xlabel="bits per pixel, whole file", ylabel=MEASURES[measure])
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.grid(alpha=0.3, which="both", linewidth=0.5)
        axes.legend(fontsize=8)
    stream = io.BytesIO()
    figure.savefig(stream, dpi=130, format="png")
    return stream.getvalue()


def _mean(system: str, setting: str, points: Sequence[RdPoint]) -> RdPoint:
    values = np.array([point[3:] for point in points], np.float64).mean(axis=0)
    num_bytes, *rest = values.tolist()
    return RdPoint(system, setting, "mean", round(num_bytes), *rest)


def _by_system(points: Sequence[RdPoint]) -> dict[str, dict[str, list[RdPoint]]]:
    groups: dict[str, dict[str, list[RdPoint]]] = {}
    for point in points:
        groups.setdefault(point.system, {}).setdefault(point.image, []).append(point)
    return groups


def _interval(values: Sequence[float | None]) -> Interval | None:
    found = [value for value in values if value is not None]
    return compare(found) if found else None


def _range(curves: Sequence[Sequence[RdPoint]]) -> tuple[float, float]:
    """Average where the curves of images begin and end."""
    rates = [[point.rate_bpp for point in curve] for curve in curves]
    return float(np.mean([min(some) for some in rates])), float(
        np.mean([max(some) for some in rates])
    )


def _words(interval: Interval | None, digits: int, unit: str, everywhere: int) -> str:
    if interval is None:
        return ""
    mean, low, high, count = interval
    some = f", {count} images" if count < everywhere else ""
    return f"{mean:+.{digits}f}{unit} ({low:+.{digits}f} to {high:+.{digits}f}{some})"
