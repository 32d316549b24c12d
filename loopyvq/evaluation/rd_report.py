"""Points to a table that a person can read, and to a picture."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from loopyvq.evaluation.rd_curves import bd_rate, compare, quality_at
from loopyvq.evaluation.rd_points import RdPoint, systems_of

__all__ = ["compare_systems", "plot_curves"]

_RATES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75)
_NAMES = {"psnr_db": "PSNR in dB", "ssim": "SSIM", "ms_ssim": "MS-SSIM"}


def compare_systems(points: Sequence[RdPoint], measure: str = "psnr_db") -> str:
    """Compare all systems with the first one, image by image.

    Args:
        points: of all systems and images.
        measure: ``psnr_db``, ``ssim`` or ``ms_ssim``.

    Returns:
        A table: the quality at some rates, averaged over the images that reach them (and how many
        those are, where not all do), and the bytes that a system needs more than the first.
    """
    groups = _by_system(points)
    first, *_ = groups.values()
    header = [_NAMES[measure], *(f"{rate:g} bpp" for rate in _RATES), "bytes against the first"]
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    for system, images in groups.items():
        cells = [_mean_at(list(images.values()), rate, measure) for rate in _RATES]
        pairs = [(images[name], first[name]) for name in images if name in first]
        rates = [bd_rate(ours, theirs, measure) for ours, theirs in pairs]
        found = [rate for rate in rates if rate is not None]
        last = ""
        if found:
            mean, low, high, count = compare(found)
            last = f"{mean:+.1f} % ({low:+.1f} to {high:+.1f}, {count} images)"
        lines.append(f"| {system} | {' | '.join(cells)} | {last} |")
    return "\n".join(lines)


def plot_curves(points: Sequence[RdPoint], path: str | Path) -> None:
    """Draw mean curves of PSNR and MS-SSIM, each point a setting's means over images.

    Args:
        points: of all systems and images.
        path: a .png or .svg file.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, measure in zip(figure.subplots(1, 2), ("psnr_db", "ms_ssim"), strict=True):
        for system in systems_of(points):
            settings: dict[str, list[RdPoint]] = defaultdict(list)
            for point in points:
                if point.system == system:
                    settings[point.setting].append(point)
            means = sorted(
                (
                    float(np.mean([point.rate_bpp for point in some])),
                    float(np.mean([getattr(point, measure) for point in some])),
                )
                for some in settings.values()
            )
            axes.plot(*zip(*means, strict=True), marker="o", markersize=3, label=system)
        axes.set(xscale="log", xlabel="bits per pixel, whole file", ylabel=_NAMES[measure])
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=130)


def _by_system(points: Sequence[RdPoint]) -> dict[str, dict[str, list[RdPoint]]]:
    groups: dict[str, dict[str, list[RdPoint]]] = {}
    for point in points:
        groups.setdefault(point.system, {}).setdefault(point.image, []).append(point)
    return groups


def _mean_at(curves: Sequence[Sequence[RdPoint]], rate_bpp: float, measure: str) -> str:
    read = [quality_at(curve, rate_bpp, measure) for curve in curves]
    found = [quality for quality in read if quality is not None]
    if not found:
        return ""
    digits = 2 if measure == "psnr_db" else 4
    count = "" if len(found) == len(curves) else f" ({len(found)})"
    return f"{np.mean(found):.{digits}f}{count}"
