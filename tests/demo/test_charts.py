import math
from xml.etree import ElementTree

import pytest

from loopyvq.demo.charts import (
    gap_at_equal_bits,
    length_row,
    rate_distortion_chart,
    small_multiples,
    smooth,
    training_charts,
    usage_rows,
)
from tests.demo.conftest import DEPTH, THRESHOLDS, Page, make_point, make_result

FIXED = [make_point(0.0, depth, 0.12 * depth, 19.5 + depth) for depth in range(1, DEPTH + 1)]


def test_the_gap_is_taken_at_equal_bits() -> None:
    points = [make_point(0.5, DEPTH, 0.12 * 2**0.5, 22.0), make_point(0.3, DEPTH, 9.0, 30.0)]
    told = Page(gap_at_equal_bits(points, FIXED)).text
    assert told.endswith("differs from fixed depth by +1.0 dB (threshold 0.5), in this run.")


def test_a_gap_may_be_negative() -> None:
    points = [make_point(0.5, DEPTH, 0.12 * 2**0.5, 20.5), make_point(0.3, DEPTH, 0.24, 22.0)]
    told = Page(gap_at_equal_bits(points, FIXED)).text
    assert "\u22120.5 dB (threshold 0.5) to +0.5 dB (threshold 0.3)" in told


@pytest.mark.parametrize("psnr_db", [math.inf, math.nan])
def test_without_overlap_there_is_no_gap(psnr_db: float) -> None:
    points = [make_point(0.5, DEPTH, 0.01, 22.0), make_point(0.3, DEPTH, 0.2, psnr_db)]
    assert "do not overlap" in gap_at_equal_bits(points, FIXED)
    assert "do not overlap" in gap_at_equal_bits(points, [])


def test_rate_distortion_shows_both_lines() -> None:
    root = ElementTree.fromstring(rate_distortion_chart(make_result()))
    hints = [node.text for node in root.iter("title")]
    assert "threshold 1.25: 0.100 bits/pixel, 20.00 dB" in hints
    assert "depth 4: 0.480 bits/pixel, 23.50 dB" in hints
    assert len(hints) == len(THRESHOLDS) - 1 + DEPTH  # one PSNR is infinite
    assert {"variable length", "fixed depth"} <= set(root.itertext())


def test_one_small_chart_per_threshold_and_measure() -> None:
    result = make_result()
    lengths = length_row([point.length_histogram for point in result.points])
    page = Page(small_multiples(THRESHOLDS, [lengths, *usage_rows(result)]))
    assert len([tag for tag in page.all("svg") if "bar-chart" in str(tag["class"])]) == 3 * 5
    assert "Perplexity" in page.text
    assert "of 16 codes" in page.text
    assert page.text.count("60%") == len(THRESHOLDS)  # one scale for the whole row


def test_lengths_are_shares_of_the_sites() -> None:
    row = length_row([[3, 1, 0], [0, 0, 0]])
    assert row.values == [[75.0, 25.0, 0.0], [0.0, 0.0, 0.0]]
    assert len(set(row.colours)) == 3


def test_many_lengths_get_few_numbers() -> None:
    few = Page(small_multiples(THRESHOLDS[:1], [length_row([[1] * 9])])).text.split()
    assert [word for word in few if word.isdigit()] == [str(length) for length in range(9)]
    many = Page(small_multiples(THRESHOLDS[:1], [length_row([[1] * 21])])).text.split()
    assert [word for word in many if word.isdigit()] == ["0", "5", "10", "15", "20"]


def test_training_leaves_out_what_was_not_measured() -> None:
    page = Page(training_charts(make_result().history))
    titles = [tag["aria-label"] for tag in page.all("svg")]
    assert titles == [
        "PSNR of the batch, dB, over steps of training",
        "tokens per site, over steps of training",
    ]
    assert len(page.all("circle")) == 2 + 2


def test_training_without_measurements() -> None:
    assert "No measurements" in training_charts([{"step": 3}, {"psnr_db": 3.0}])


def test_smoothing_keeps_the_number_of_values() -> None:
    assert smooth([0.0, 3.0, 6.0], 1) == [1.5, 3.0, 4.5]
    assert smooth([1.0, 2.0], 0) == [1.0, 2.0]
    assert smooth([], 3) == []
