"""Whole sets at one setting: the bytes of all images together, for the quality of all of them.

A setting such as a threshold gives each image the bytes that it needs. Comparing image by image
leaves out what that is worth; here the sets are compared, as rate-distortion curves of a test set
are usually drawn.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from loopyvq.evaluation.rd_curves import Interval, bd_rate, cut_to_rates
from loopyvq.evaluation.rd_points import RdPoint

__all__ = ["compare_sets", "set_curve"]


class _Files(NamedTuple):
    """The files of one system and setting, one per image."""

    first: RdPoint
    num_bytes: Int[np.ndarray, " n"]
    num_pixels: Float[np.ndarray, " n"]
    qualities: Float[np.ndarray, "n m"]


# Of a point, what is averaged.
_MEASURES = ("psnr_db", "ssim", "ms_ssim", "lpips")
# An interval of fewer samples would be that of the sets that happen to overlap.
_SHARE_OF_DRAWS = 0.95


def set_curve(points: Sequence[RdPoint], *, pooled: bool = False) -> list[RdPoint]:
    """Take all images of a setting together.

    Args:
        points: of one system.
        pooled: whether PSNR is that of the squared error of all pixels; else the mean over images.

    Returns:
        A point for each setting that every image has: all bytes, over all pixels; the other
        measures are means over the images.

    Example:
        >>> points = [RdPoint("a", "1", name, 10, 0.1, psnr, 0.0, 0.0)
        ...           for name, psnr in (("x", 20.0), ("y", 40.0))]
        >>> [round(set_curve(points, pooled=flag)[0].psnr_db, 2) for flag in (False, True)]
        [30.0, 22.97]
    """
    files = _files(points, sorted({point.image for point in points}))
    return [_together(some, np.arange(len(some.num_bytes)), pooled) for some in files]


def compare_sets(
    pairs: Sequence[tuple[Sequence[RdPoint], Sequence[RdPoint]]],
    rates: tuple[float, float],
    measure: str = "psnr_db",
    *,
    pooled: bool = False,
    seed: int = 0,
    draws: int = 500,
) -> Interval | None:
    """Measure how many bytes more a set takes at the same quality, on average.

    Args:
        pairs: points of one system and of another; several pairs if there are several trained
            models of each, whose settings may differ. Images that not all of them have are left
            out.
        rates: bits per pixel of the set between which the curves are compared.
        measure: one of `loopyvq.evaluation.rd_points.MEASURES`.
        pooled: see `set_curve`.
        seed: of the draws.
        draws: bootstrap samples of the images; models are not drawn.

    Returns:
        Per cent of the reference's bytes, a mean over the pairs, and where 95 % of bootstrapped
        sets lie; None if the curves do not overlap, of the set or of many samples of it.
    """
    names = [{point.image for point in points} for pair in pairs for points in pair]
    images = sorted(set.intersection(*names)) if names else []
    files = [(_files(ours, images), _files(theirs, images)) for ours, theirs in pairs]

    def percent(chosen: Int[np.ndarray, " n"]) -> float | None:
        found = []
        for ours, theirs in files:
            curves = [[_together(some, chosen, pooled) for some in both] for both in (ours, theirs)]
            first, second = (cut_to_rates(curve, rates, measure) for curve in curves)
            found.append(bd_rate(first, second, measure))
        known = [value for value in found if value is not None]
        return float(np.mean(known)) if known and len(known) == len(found) else None

    mean = percent(np.arange(len(images))) if images else None
    if mean is None:
        return None
    order = np.random.default_rng(seed).integers(0, len(images), (draws, len(images)))
    sampled = [value for value in map(percent, order) if value is not None]
    if len(sampled) < _SHARE_OF_DRAWS * draws:
        return None
    low, high = np.percentile(sampled, [2.5, 97.5])
    return Interval(mean, float(low), float(high), len(images))


def _files(points: Sequence[RdPoint], images: Sequence[str]) -> list[_Files]:
    """Gather the settings that all images have."""
    settings: dict[str, dict[str, RdPoint]] = defaultdict(dict)
    for point in points:
        settings[point.setting][point.image] = point
    complete = [
        [found[image] for image in images]
        for found in settings.values()
        if all(image in found for image in images)
    ]
    return [
        _Files(
            some[0],
            np.array([point.num_bytes for point in some]),
            np.array([8 * point.num_bytes / point.rate_bpp for point in some]),
            np.array([[getattr(point, name) for name in _MEASURES] for point in some]),
        )
        for some in complete
        if some
    ]


def _together(files: _Files, chosen: Int[np.ndarray, " n"], pooled: bool) -> RdPoint:
    """Make one point of some of the images, each as often as it was chosen."""
    num_bytes, num_pixels = files.num_bytes[chosen], files.num_pixels[chosen]
    measures = dict(zip(_MEASURES, files.qualities[chosen].mean(axis=0).tolist(), strict=True))
    if pooled:
        errors = 10 ** (-files.qualities[chosen, 0] / 10)
        measures["psnr_db"] = float(-10 * np.log10(np.average(errors, weights=num_pixels)))
    total = int(num_bytes.sum())
    rate_bpp = float(8 * total / num_pixels.sum())
    return RdPoint(files.first.system, files.first.setting, "all", total, rate_bpp, **measures)
