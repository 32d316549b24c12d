import itertools
import math
from xml.etree import ElementTree

import pytest

from loopyvq.figures import (
    Axis,
    Series,
    bar_chart,
    line_chart,
    nice_ticks,
    tick_label,
)


@pytest.mark.parametrize(
    "values",
    [
        [0.13, 0.92],
        [20.0],
        [0.0],
        [-3.0, -3.0],
        [1e-9, 2e-9],
        [1e9, 3e9],
        [0.0, 100.0],
        [0.1, 0.1 + 1e-15],
        [],
        [math.inf, math.nan],
        [5.0, math.inf],
    ],
)
def test_ticks_enclose_the_values_evenly(values: list[float]) -> None:
    ticks = nice_ticks(values)
    finite = [value for value in values if math.isfinite(value)]
    steps = [after - before for before, after in itertools.pairwise(ticks)]
    assert 2 <= len(ticks) <= 9
    assert min(steps) > 0
    assert max(steps) == pytest.approx(min(steps), rel=1e-3)
    slack = 1e-8 * steps[0]
    assert all(ticks[0] - slack <= value <= ticks[-1] + slack for value in finite)


def test_tick_labels_have_the_decimals_they_need() -> None:
    assert [tick_label(tick, [0.0, 0.25, 0.5]) for tick in (0.0, 0.25)] == ["0.00", "0.25"]
    assert tick_label(1200.0, [0.0, 200.0]) == "1,200"
    assert tick_label(-0.0, [-0.0, 0.5]) == "0.0"


def test_an_axis_places_its_ends() -> None:
    axis = Axis([10.0, 15.0, 20.0], 300.0, 100.0)
    assert [axis.place(value) for value in (10.0, 15.0, 20.0)] == [300.0, 200.0, 100.0]


def test_a_line_chart_leaves_out_what_is_not_finite() -> None:
    points = [(0.1, 20.0), (0.2, math.inf), (math.nan, 3.0), (0.3, 22.0)]
    chart = line_chart("t", "x", "y", [Series("a", points, list("pqrs"), marked=True)])
    root = ElementTree.fromstring(chart)
    dots = [node for node in root.iter("g") if node.get("class") == "dot" and node.get("data-mark")]
    assert [node.get("data-mark") for node in dots] == ["0", "3"]
    assert [node.findtext("title") for node in dots] == ["p", "s"]


@pytest.mark.parametrize("points", [[], [(1.0, 2.0)], [(1.0, 2.0), (1.0, 2.0)]])
def test_a_line_chart_of_hardly_anything_is_well_formed(points: list[tuple[float, float]]) -> None:
    chart = line_chart("t", "x", "y", [Series("a", points, []), Series("", points, [], "faint")])
    ElementTree.fromstring(chart)
    assert "nan" not in chart
    assert "inf" not in chart


def test_charts_escape_their_words() -> None:
    word = '<script>"&'
    charts = [
        line_chart(word, word, word, [Series(word, [(0.0, 1.0)], [word])]),
        bar_chart(word, [1.0], [word], [0.0, 1.0], word, [word]),
    ]
    for chart in charts:
        assert "<script>" not in chart
        assert ElementTree.fromstring(chart).get("aria-label") == word


def test_bars_are_as_high_as_their_values() -> None:
    chart = bar_chart("t", [0.0, 1.0, 2.0, math.nan], list("abcd"), [0.0, 2.0])
    heights = [float(bar.get("height", "")) for bar in ElementTree.fromstring(chart).iter("rect")]
    assert len(heights) == 2
    assert heights[1] == pytest.approx(2 * heights[0], rel=0.01)


def test_no_bars_at_all() -> None:
    ElementTree.fromstring(bar_chart("t", [], [], [0.0, 1.0]))
