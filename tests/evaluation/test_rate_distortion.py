import math

import pytest

from loopyvq.evaluation.rate_distortion import psnr_at_rate
from tests.evaluation.test_tables import POINT


def curve(*pairs):
    return [POINT._replace(rate_bpp=rate, psnr_db=psnr) for rate, psnr in pairs]


def test_the_curve_is_read_in_log_rate():
    points = curve((0.4, 30.0), (0.1, 20.0), (1.6, 34.0))
    assert psnr_at_rate(points, 0.1) == 20.0
    assert psnr_at_rate(points, 0.2) == pytest.approx(25.0)
    assert psnr_at_rate(points, 0.8) == pytest.approx(32.0)
    assert psnr_at_rate(points, 0.1 * math.sqrt(2)) == pytest.approx(22.5)


def test_outside_of_the_curve_there_is_nothing():
    points = curve((0.1, 20.0), (0.4, 30.0))
    assert psnr_at_rate(points, 0.09) is None
    assert psnr_at_rate(points, 0.41) is None
    assert psnr_at_rate(points[:1], 0.1) is None


def test_two_points_at_one_rate():
    assert psnr_at_rate(curve((0.1, 20.0), (0.1, 21.0)), 0.1) == 21.0
