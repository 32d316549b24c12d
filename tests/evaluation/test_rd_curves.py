import math

import pytest

from loopyvq.evaluation.rd_curves import (
    bd_quality,
    bd_rate,
    compare,
    cut_to_rates,
    quality_at,
    value_at,
)
from loopyvq.evaluation.rd_points import RdPoint


def curve(factor, system="a"):
    rates = [0.1, 0.2, 0.4, 0.8]
    return [
        RdPoint(system, str(rate), "i", 1, rate * factor, 30 + 5 * math.log2(rate), 0.5, 0.5)
        for rate in rates
    ]


def test_bytes_at_equal_quality():
    assert bd_rate(curve(1.0), curve(1.0)) == pytest.approx(0)
    assert bd_rate(curve(0.5), curve(1.0)) == pytest.approx(-50)
    assert bd_rate(curve(1.3), curve(1.0)) == pytest.approx(30)
    assert bd_rate(curve(1.0)[:1], curve(1.0)[2:]) is None
    assert bd_rate([], curve(1.0)) is None


def test_files_that_are_larger_but_no_better_are_left_out():
    worse = curve(1.0)[1]._replace(rate_bpp=0.35, psnr_db=10.0)
    assert bd_rate([*curve(1.0), worse], curve(1.0)) == pytest.approx(0)


def test_qualities_are_read_between_points():
    between = quality_at(curve(1.0), math.sqrt(0.02), "psnr_db")
    assert between == pytest.approx(30 + 5 * math.log2(math.sqrt(0.02)))
    assert quality_at(curve(1.0), 0.05, "psnr_db") is None
    assert quality_at([], 0.05, "psnr_db") is None


def test_a_curve_is_read_in_log_rate():
    curve = [(0.4, 30.0), (0.1, 20.0), (1.6, 34.0), (0.0, 5.0)]
    assert value_at(curve, 0.1) == 20.0
    assert value_at(curve, 0.8) == pytest.approx(32.0)
    assert value_at(curve, 0.1 * math.sqrt(2)) == pytest.approx(22.5)
    assert value_at(curve, 0.09) is value_at(curve, 1.7) is value_at(curve, 0.0) is None


def test_the_largest_of_two_values_at_one_rate():
    for rates in ((0.1, 0.1, 0.4), (0.05, 0.1, 0.1)):
        assert value_at(zip(rates, (21.0, 21.0, 20.0), strict=True), 0.1) == 21.0
    assert value_at([(0.1, 21.0), (0.1, 20.0)], 0.1) == 21.0


def test_intervals_hold_the_mean():
    interval = compare([1.0, 2.0, 3.0, 10.0])
    assert interval.low < interval.mean == 4.0 < interval.high
    assert interval.num_images == 4
    assert compare([1.0, 2.0, 3.0, 10.0]) == interval


def test_quality_at_equal_bytes():
    assert bd_quality(curve(0.5), curve(1.0)) == pytest.approx(5)
    assert bd_quality(curve(0.5), curve(1.0), most_bpp=0.2) == pytest.approx(5)
    assert bd_quality(curve(0.5), curve(1.0), most_bpp=0.09) is None
    assert bd_quality([], curve(1.0)) is None


def test_a_curve_is_cut_between_its_points():
    points = curve(1.0)
    rates = sorted(point.rate_bpp for point in points)
    middle = math.sqrt(rates[0] * rates[1])
    cut = cut_to_rates(points, (middle, rates[-1] * 2), "psnr_db")
    assert sorted(point.rate_bpp for point in cut) == pytest.approx([middle, *rates[1:]])
    assert quality_at(cut, middle, "psnr_db") == pytest.approx(
        quality_at(points, middle, "psnr_db")
    )
    assert (
        cut_to_rates(points, (1e-6, 1e-5), "psnr_db")
        == cut_to_rates([], (1.0, 2.0), "psnr_db")
        == []
    )
    worse = [point._replace(lpips=0.4 - 0.01 * i) for i, point in enumerate(points)]
    ends = cut_to_rates(worse, (middle, middle), "lpips")
    assert ends[0].lpips == pytest.approx(0.395)


def test_less_lpips_is_better():
    better = [point._replace(lpips=0.3 - 0.01 * i) for i, point in enumerate(curve(1.0))]
    worse = [point._replace(lpips=0.4 - 0.01 * i) for i, point in enumerate(curve(1.0))]
    assert bd_quality(better, worse, "lpips") == pytest.approx(0.1)
    assert quality_at(better, 0.1, "lpips") == pytest.approx(-0.3)
