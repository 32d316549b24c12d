import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopyvq.codec.rate_control import Target, search, threshold_of_quality
from loopyvq.errors import ConfigError


def size(threshold):
    return 1000.0 / threshold


@given(st.floats(700, 40_000))
def test_the_best_file_that_is_small_enough(most):
    found = search(size, float, Target("num_bytes", most))
    assert found.value <= most
    assert found.value > 0.99 * most
    assert size(found.threshold) == found.trial


@given(st.floats(5, 29.5))
def test_the_smallest_file_that_is_good_enough(least):
    found = search(lambda at: 30 - 16 * at, float, Target("psnr_db", least))
    assert found.value >= least
    assert found.value < least + 0.2 or found.threshold > 1.5


@given(st.floats(700, 40_000), st.floats(0.3, 1.5), st.floats(0, 300))
def test_few_attempts_on_a_curve_like_that_of_files(most, power, header):
    tried = []

    def attempt(threshold):
        tried.append(threshold)
        return round(header + 1000 * threshold**-power)

    target = Target("num_bytes", most)
    if not attempt(1.6) <= most < attempt(0.02):
        return
    tried.clear()
    found = search(attempt, float, target)
    assert most * 0.997 - 2 < found.value <= most
    assert len(tried) <= 9


@given(st.floats(700, 40_000), st.floats(0.5, 1.5), st.integers(1, 9999))
def test_chance_in_the_measure_costs_few_attempts_more(most, power, seed):
    tried = []

    def attempt(threshold):
        tried.append(threshold)
        return 1000 * threshold**-power * (1 + 0.002 * math.sin(seed * threshold))

    if not attempt(1.6) <= most < attempt(0.02):
        return
    tried.clear()
    found = search(attempt, float, Target("num_bytes", most))
    assert most * 0.99 < found.value <= most
    assert len(tried) <= 16
    assert found.threshold in tried


def test_neither_end_is_tried_without_need():
    tried = []
    found = search(lambda at: tried.append(at) or size(at), float, Target("rate_bpp", 9000.0))
    assert found.value == pytest.approx(9000, rel=2e-3)
    assert min(tried) > 0.02
    assert max(tried) < 1.6
    assert len(tried) <= 5


def test_a_staircase_is_climbed():
    found = search(lambda at: round(20 * at), float, Target("pixel_error", 7.0))
    assert found.value == 7
    found = search(lambda at: round(30 - 8 * at), float, Target("psnr_db", 24.0))
    assert found.value == 24


@pytest.mark.parametrize("power", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("most", [2, 5, 10, 40])
def test_of_all_files_with_so_many_levels_the_coarsest_is_found(most, power):
    tried = []

    def attempt(threshold):
        tried.append(threshold)
        return round(3 * most * threshold**power)

    found = search(attempt, float, Target("pixel_error", most + 0.2))
    assert found.value == most
    largest = ((most + 0.5) / (3 * most)) ** (1 / power)
    assert 0.98 * largest < found.threshold <= largest
    assert len(tried) <= 12


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_measure_that_is_no_number_is_refused(value):
    for kind in ("psnr_db", "ssim", "rate_bpp", "num_bytes", "pixel_error"):
        with pytest.raises(ConfigError, match=r"at threshold 0\.1789 has"):
            search(lambda at: value, float, Target(kind, 31.0))
    with pytest.raises(ConfigError, match="has inf num_bytes"):
        search(lambda at: 30 / at if at < 0.1 else math.inf, float, Target("num_bytes", 900.0))


def test_ends_of_the_range():
    assert search(size, float, Target("num_bytes", 1e9)).threshold == 0.02
    assert search(lambda at: at, float, Target("pixel_error", 5.0)).threshold == 1.6
    with pytest.raises(
        ConfigError, match=r"10 bytes cannot be reached .* gives 625 to 5e.04 bytes"
    ):
        search(size, float, Target("num_bytes", 10.0))
    for bad in (Target("charm", 1.0), Target("ssim", float("nan"))):
        with pytest.raises(ConfigError, match="a target must be"):
            search(size, float, bad)


def test_qualities_are_mapped_in_order():
    thresholds = [threshold_of_quality(float(quality)) for quality in range(1, 101)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[0] == pytest.approx(1.6)
    assert thresholds[-1] == pytest.approx(0.02)
    for bad in (0.0, 101.0, float("nan")):
        with pytest.raises(ConfigError, match="quality"):
            threshold_of_quality(bad)
