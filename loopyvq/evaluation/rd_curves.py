"""Curves of systems against each other: at equal bytes, and over a range of them."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from loopyvq.evaluation.rd_points import RdPoint

__all__ = [
    "Interval",
    "bd_quality",
    "bd_rate",
    "compare",
    "cut_to_rates",
    "quality_at",
    "value_at",
]

_SAMPLES = 100


class Interval(NamedTuple):
    """A mean over images, and where 95 % of bootstrapped means lie.

    Attributes:
        mean: over the images.
        low: 2.5th percentile.
        high: 97.5th percentile.
        num_images: images that could be compared.
    """

    mean: float
    low: float
    high: float
    num_images: int


def quality_at(points: Sequence[RdPoint], rate_bpp: float, measure: str) -> float | None:
    """Read one image's curve at a rate, linearly in the logarithm of the rate.

    Args:
        points: of one system and image.
        rate_bpp: bits per pixel, above 0.
        measure: one of `MEASURES`.

    Returns:
        The quality, more is better; None outside of the curve.
    """
    return value_at(((point.rate_bpp, point.quality(measure)) for point in points), rate_bpp)


def value_at(pairs: Iterable[tuple[float, float]], rate_bpp: float) -> float | None:
    """Read a curve at a rate, linearly in the logarithm of the rate.

    Args:
        pairs: bits per pixel and a value each, in any order; a rate of 0 is on no such curve.
        rate_bpp: bits per pixel.

    Returns:
        The value, of several at one rate the largest; None outside of the curve.

    Example:
        >>> round(value_at([(0.4, 30.0), (0.1, 20.0)], 0.2), 3)
        25.0
    """
    curve = sorted((math.log(rate), value) for rate, value in pairs if rate > 0)
    if not curve or rate_bpp <= 0 or not curve[0][0] <= math.log(rate_bpp) <= curve[-1][0]:
        return None
    rates, values = zip(*curve, strict=True)
    return float(np.interp(math.log(rate_bpp), rates, values))


def bd_rate(
    points: Sequence[RdPoint], reference: Sequence[RdPoint], measure: str = "psnr_db"
) -> float | None:
    """Measure how many bytes more one image takes at the same quality, on average.

    Both curves are joined linearly in the logarithm of the rate, which a few unevenly spread points
    cannot make swing as a polynomial does.

    Args:
        points: of one system and image.
        reference: of another system and the same image.
        measure: one of `MEASURES`.

    Returns:
        Per cent of the reference's bytes, negative if fewer are needed; None if the qualities do
        not overlap. One point alone is compared at its own quality.

    References:
        Bjontegaard, "Calculation of average PSNR differences between RD-curves", 2001, VCEG-M33
    """
    curves = [_rising(some, measure) for some in (points, reference)]
    low = max(min(quality, default=math.inf) for quality, _ in curves)
    high = min(max(quality, default=-math.inf) for quality, _ in curves)
    if not low <= high:
        return None
    grid = np.linspace(low, high, _SAMPLES)
    ours, theirs = (np.interp(grid, quality, rate) for quality, rate in curves)
    return 100 * math.expm1(float((ours - theirs).mean()))


def bd_quality(
    points: Sequence[RdPoint],
    reference: Sequence[RdPoint],
    measure: str = "psnr_db",
    most_bpp: float = math.inf,
) -> float | None:
    """Measure how much better one image is at equal bytes, on average.

    Args:
        points: of one system and image.
        reference: of another system and the same image.
        measure: one of `MEASURES`.
        most_bpp: where the range of rates ends.

    Returns:
        The mean difference over the logarithm of the rates that both reach, above 0 if it is
        better; None if they do not overlap. One point alone is compared at its own rate.

    References:
        Bjontegaard, "Calculation of average PSNR differences between RD-curves", 2001, VCEG-M33
    """
    if not points or not reference:
        return None
    curves = [
        sorted((math.log(point.rate_bpp), point.quality(measure)) for point in some)
        for some in (points, reference)
    ]
    low = max(curve[0][0] for curve in curves)
    high = min(math.log(most_bpp), *(curve[-1][0] for curve in curves))
    if not low <= high:
        return None
    grid = np.linspace(low, high, _SAMPLES)
    ours, theirs = (
        np.interp(grid, [rate for rate, _ in curve], [quality for _, quality in curve])
        for curve in curves
    )
    return float((ours - theirs).mean())


def cut_to_rates(
    points: Sequence[RdPoint], rates: tuple[float, float], measure: str
) -> list[RdPoint]:
    """Keep the part of one image's curve that lies between two rates.

    Args:
        points: of one system and image.
        rates: bits per pixel, the smaller one first.
        measure: one of `MEASURES`; only this one and the rate are right at the ends that are new.

    Returns:
        The points between, and the curve's own ends there, read off between their neighbours.

    Example:
        >>> ends = [RdPoint("a", "", "x", 1, rate, rate * 100, 0.0, 0.0) for rate in (0.1, 0.4)]
        >>> [(point.rate_bpp, point.psnr_db) for point in cut_to_rates(ends, (0.2, 1.0), "psnr_db")]
        [(0.4, 40.0), (0.2, 25.0)]
    """
    kept = [point for point in points if rates[0] <= point.rate_bpp <= rates[1]]
    for rate in rates:
        quality = quality_at(points, rate, measure)
        if quality is not None:
            value = -quality if measure == "lpips" else quality
            kept.append(RdPoint(**points[0]._asdict() | {"rate_bpp": rate, measure: value}))
    return kept


def compare(values: Sequence[float], seed: int = 0, draws: int = 2000) -> Interval:
    """Average over images, with a bootstrap interval.

    Args:
        values: one per image, at least one.
        seed: of the draws.
        draws: bootstrap samples.

    Returns:
        The mean and its interval.

    Example:
        >>> compare([1.0, 1.0]).high
        1.0
    """
    array = np.asarray(values, np.float64)
    chosen = np.random.default_rng(seed).integers(0, len(array), (draws, len(array)))
    low, high = np.percentile(array[chosen].mean(axis=1), [2.5, 97.5])
    return Interval(float(array.mean()), float(low), float(high), len(array))


def _rising(points: Sequence[RdPoint], measure: str) -> tuple[list[float], list[float]]:
    """Give qualities and log rates, leaving out files that are larger but no better."""
    qualities: list[float] = []
    rates: list[float] = []
    for point in sorted(points, key=lambda point: point.rate_bpp):
        quality = point.quality(measure)
        if not qualities or quality > qualities[-1]:
            qualities.append(quality)
            rates.append(math.log(point.rate_bpp))
    return qualities, rates
