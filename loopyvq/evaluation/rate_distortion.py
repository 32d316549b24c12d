"""Rate-distortion curves read at equal rates."""

import math
from collections.abc import Sequence
from itertools import pairwise

from loopyvq.evaluation.reconstruction import PointResult

__all__ = ["psnr_at_rate"]


def psnr_at_rate(points: Sequence[PointResult], rate_bpp: float) -> float | None:
    """Read the PSNR of a curve at a rate, linearly in the logarithm of the rate.

    Args:
        points: the curve, in any order.
        rate_bpp: bits per pixel, above 0.

    Returns:
        PSNR in dB; None outside of the curve.
    """
    curve = sorted((point.rate_bpp, point.psnr_db) for point in points)
    for (low, low_db), (high, high_db) in pairwise(curve):
        if low <= rate_bpp <= high:
            if high == low:
                return max(low_db, high_db)
            share = math.log(rate_bpp / low) / math.log(high / low)
            return low_db + share * (high_db - low_db)
    return None
