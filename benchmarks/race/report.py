"""Curves at equal bytes: against the best fixed depth, image by image, seeds averaged."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from loopyvq.evaluation.rd_curves import bd_rate, compare, cut_to_rates, quality_at
from loopyvq.evaluation.rd_points import RdPoint, systems_of
from loopyvq.evaluation.rd_sets import compare_sets

__all__ = ["RANGE", "RATES", "Run", "best_of", "plot", "sets_table", "table"]

RANGE = (0.1, 0.8)
"""Bits per pixel between which curves are compared."""
RATES = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
_OF_SETS = (("psnr_db", True), ("psnr_db", False), ("ms_ssim", False))


class Run(NamedTuple):
    """All points of one seed.

    Attributes:
        seed: of the training.
        points: of all curves and images.
    """

    seed: int
    points: list[RdPoint]


def best_of(runs: Sequence[Run], names: Sequence[str]) -> str:
    """Find the curve that needs the fewest bytes.

    Args:
        runs: of all seeds.
        names: the curves to choose from, at least one.

    Returns:
        Its name.
    """
    means = {name: np.mean(list(_byte_ratios(runs, name, names[0]).values())) for name in names}
    return min(means, key=means.__getitem__)


def table(runs: Sequence[Run], reference: str) -> str:
    """Compare all curves with one of them.

    Args:
        runs: of all seeds.
        reference: the curve to compare with.

    Returns:
        Markdown: PSNR at `RATES`, averaged over images and seeds that reach them, the gain there,
        and the bytes that a curve needs more within `RANGE`.
    """
    heads = ["PSNR dB", *(f"{rate:g} bpp" for rate in RATES)]
    heads += ["bytes at equal PSNR", "at equal MS-SSIM"]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for name in systems_of([point for run in runs for point in run.points]):
        cells = [_cell(runs, name, reference, rate) for rate in RATES]
        cells += [_bytes(runs, name, reference, measure) for measure in ("psnr_db", "ms_ssim")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def sets_table(runs: Sequence[Run], reference: str) -> str:
    """Compare all curves with one of them where all images are written at one setting.

    Args:
        runs: of all seeds, over which is averaged; intervals are over images.
        reference: the curve to compare with.

    Returns:
        Markdown: the bytes that a curve needs more for the whole set within `RANGE`.
    """
    heads = "| all images at one setting, bytes at equal | pooled PSNR | mean PSNR | mean MS-SSIM |"
    by_system: dict[str, list[list[RdPoint]]] = defaultdict(list)
    for run in runs:
        for name in systems_of(run.points):
            by_system[name].append([point for point in run.points if point.system == name])
    lines = [heads, "|---|" + "---:|" * len(_OF_SETS)]
    for name, curves in by_system.items():
        cells = ["reference"] * len(_OF_SETS)
        if name != reference:
            found = [
                compare_sets(
                    list(zip(curves, by_system[reference], strict=True)),
                    RANGE,
                    measure,
                    pooled=pooled,
                )
                for measure, pooled in _OF_SETS
            ]
            cells = [
                f"{item.mean:+.1f} % ({item.low:+.1f} to {item.high:+.1f})" if item else ""
                for item in found
            ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(runs: Sequence[Run], path: Path) -> None:
    """Draw each curve's mean over the images and seeds at equal rates, image by image.

    Means of settings would mix images of different sizes: one threshold spends other bytes on
    every image.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    rates = np.geomspace(*RANGE, 25)
    measures = (("psnr_db", "PSNR in dB"), ("ms_ssim", "MS-SSIM"))
    for axes, (measure, label) in zip(figure.subplots(1, 2), measures, strict=True):
        for name in systems_of([point for run in runs for point in run.points]):
            curves = [ours for _, ours, _ in _pairs(runs, name, name)]
            read = [[quality_at(curve, rate, measure) for curve in curves] for rate in rates]
            full = [
                (r, np.mean(row)) for r, row in zip(rates, read, strict=True) if None not in row
            ]
            if full:
                axes.plot(*zip(*full, strict=True), linewidth=1.3, label=name)
        axes.set(xscale="log", xlabel="bits per pixel of each image", ylabel=label)
        axes.grid(alpha=0.3, which="both", linewidth=0.5)
        axes.legend(fontsize=8)
    figure.savefig(path, dpi=90)


def _bytes(runs: Sequence[Run], name: str, reference: str, measure: str) -> str:
    """Give the bytes that a curve needs more, in words."""
    if name == reference:
        return "reference"
    ratios = list(_byte_ratios(runs, name, reference, measure).values())
    if not ratios:
        return ""
    mean, low, high, count = compare(ratios)
    return f"{mean:+.1f} % ({low:+.1f} to {high:+.1f}, {count} images)"


def _cell(runs: Sequence[Run], name: str, reference: str, rate: float) -> str:
    """Give the PSNR at a rate and how much it is above the reference's, where both reach it."""
    pairs = [
        (quality_at(ours, rate, "psnr_db"), quality_at(theirs, rate, "psnr_db"))
        for _, ours, theirs in _pairs(runs, name, reference)
    ]
    # Beyond the end of some images' curves the rest is averaged: a mean of fewer says so.
    both = [(ours, theirs) for ours, theirs in pairs if ours is not None and theirs is not None]
    if not both:
        return ""
    ours, theirs = np.mean(both, axis=0)
    gain = "" if name == reference else f" ({ours - theirs:+.2f})"
    count = "" if len(both) == len(pairs) else f" of {len(both)}"
    return f"{ours:.2f}{gain}{count}"


def _byte_ratios(
    runs: Sequence[Run], name: str, reference: str, measure: str = "psnr_db"
) -> dict[str, float]:
    """Give the bytes needed more on each image, in per cent, averaged over the seeds."""
    found = defaultdict(list)
    for image, ours, theirs in _pairs(runs, name, reference):
        cut = [cut_to_rates(curve, RANGE, measure) for curve in (ours, theirs)]
        percent = bd_rate(*cut, measure)
        if percent is not None:
            found[image].append(percent)
    return {image: float(np.mean(values)) for image, values in found.items()}


def _pairs(
    runs: Sequence[Run], name: str, reference: str
) -> list[tuple[str, list[RdPoint], list[RdPoint]]]:
    """Give both curves of every image and seed."""
    pairs = []
    for run in runs:
        curves: dict[tuple[str, str], list[RdPoint]] = defaultdict(list)
        for point in run.points:
            curves[point.system, point.image].append(point)
        pairs += [
            (image, curve, curves[reference, image])
            for (system, image), curve in curves.items()
            if system == name
        ]
    return pairs
