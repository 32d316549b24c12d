import math

import pytest

from loopyvq.demo.markup import duration, mark, middle, number, show


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234.5, "1,234.50"),
        (-0.5, "&minus;0.50"),
        (math.nan, "&ndash;"),
        (math.inf, "&infin;"),
        (-math.inf, "&minus;&infin;"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 s"), (59.6, "1 min"), (61.0, "1 min 1 s"), (3600.0, "60 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("count", [1, 2, 5])
def test_one_threshold_shows_at_first(count: int) -> None:
    shown = [index for index in range(count) if "hidden" not in show(index, count)]
    marked = [index for index in range(count) if "current" in mark(index, count)]
    assert shown == marked == [middle(count)]


def test_a_mark_keeps_other_classes() -> None:
    assert mark(0, 3, "over") == ' class="over" data-mark="0"'
    assert mark(1, 3, "over") == ' class="over current" data-mark="1"'
