import math

import pytest

from loopyvq.evaluation.rd_points import RdPoint
from loopyvq.evaluation.rd_sets import compare_sets, set_curve

RANGE = (0.01, 10.0)


def point(system, setting, image, num_bytes, psnr_db, num_pixels=800):
    rate_bpp = 8 * num_bytes / num_pixels
    return RdPoint(system, setting, image, num_bytes, rate_bpp, psnr_db, 0.5, psnr_db / 100)


def curve(system, files):
    """Points of settings, each with bytes and PSNR of some images."""
    return [
        point(system, str(setting), f"image {place}", *file)
        for setting, row in enumerate(files)
        for place, file in enumerate(row)
    ]


def test_bytes_add_up_and_qualities_are_averaged():
    points = [point("a", "1", "x", 100, 20.0), point("a", "1", "y", 300, 40.0, 2400)]
    (found,) = set_curve(points)
    assert (found.num_bytes, found.rate_bpp) == (400, 1.0)
    assert (found.psnr_db, found.ms_ssim) == pytest.approx((30, 0.3))
    (pooled,) = set_curve(points, pooled=True)
    error = (800 * 1e-2 + 2400 * 1e-4) / 3200
    assert pooled.psnr_db == pytest.approx(-10 * math.log10(error))
    assert pooled.ms_ssim == found.ms_ssim


def test_a_setting_that_an_image_lacks_is_left_out():
    points = curve("a", [[(100, 20.0), (100, 25.0)], [(200, 30.0)]])
    assert [item.setting for item in set_curve(points)] == ["0"]
    assert set_curve([]) == []


def test_bytes_that_go_where_they_are_needed_count_for_the_set():
    even = curve("even", [[(100, 20.0), (100, 40.0)], [(200, 23.0), (200, 43.0)]])
    # The same images, the first of which gets three quarters of the same bytes.
    moved = curve("moved", [[(150, 21.755), (50, 37.0)], [(300, 24.755), (100, 40.0)]])
    found = compare_sets([(moved, even)], RANGE, pooled=True)
    assert found is not None
    assert found.mean < -25
    assert found.low <= found.mean < found.high  # one image alone gains nothing
    assert found.num_images == 2
    unpooled = compare_sets([(moved, even)], RANGE)
    assert unpooled is not None
    assert unpooled.mean > 10
    same = compare_sets([(even, even)], RANGE, pooled=True)
    assert same is not None
    assert same[:3] == pytest.approx((0, 0, 0))


def test_sets_that_cannot_be_compared():
    low = curve("low", [[(100, 20.0)], [(200, 22.0)]])
    high = curve("high", [[(100, 30.0)], [(200, 32.0)]])
    assert compare_sets([(low, high)], RANGE) is None
    assert compare_sets([(low, [])], RANGE) is None
    assert compare_sets([(low, high)], RANGE, "ms_ssim") is None
    assert compare_sets([], RANGE) is None


def test_an_interval_that_only_some_samples_have_is_none():
    ours = curve("ours", [[(100, 20.0), (100, 60.0)], [(200, 23.0), (200, 63.0)]])
    theirs = curve("theirs", [[(100, 30.0), (100, 50.0)], [(200, 33.0), (200, 53.0)]])
    assert compare_sets([(ours, theirs)], RANGE) is None  # either image alone does not overlap


def test_models_of_several_seeds_are_averaged_and_add_no_images():
    even = curve("even", [[(100, 20.0), (100, 40.0)], [(200, 23.0), (200, 43.0)]])
    half = [
        point._replace(num_bytes=point.num_bytes // 2, rate_bpp=point.rate_bpp / 2)
        for point in even
    ]
    other = [point._replace(setting=f"other {point.setting}") for point in half]
    once = compare_sets([(half, even)], RANGE)
    both = compare_sets([(even, even), (other, even)], RANGE)
    assert once is not None
    assert both is not None
    assert once.mean == pytest.approx(-50)
    assert both.mean == pytest.approx(-25)
    assert both.num_images == 2
    moved = curve("moved", [[(150, 21.755), (50, 37.0)], [(300, 24.755), (100, 40.0)]])
    assert compare_sets([(moved, even)] * 3, RANGE) == compare_sets([(moved, even)], RANGE)
