"""Charts as inline SVG: they take their colours from the page's CSS, so they follow dark mode.

Every chart is a string of markup in a coordinate system of its own; the page scales it to the
column it stands in. Classes name roles (``grid``, ``series-0``), the page's style sheet draws them.
"""

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

__all__ = ["Axis", "Series", "bar_chart", "line_chart", "log_ticks", "nice_ticks", "tick_label"]

_LINE_SIZE = (660.0, 400.0)
_LINE_MARGINS = (34.0, 24.0, 66.0, 54.0)  # top, right, bottom, left
_BAR_SIZE = (220.0, 132.0)
_BAR_MARGINS = (20.0, 4.0, 20.0, 4.0)


class Series(NamedTuple):
    """One line of a chart.

    Attributes:
        name: what the legend says; empty for none.
        points: x and y; those that are not finite are left out.
        hints: one tooltip per point, as plain text; empty for none.
        dots: how points are drawn: ``round``, ``square``, ``faint`` (no line) or ``none``.
        marked: the points follow the page's choice of a threshold.
    """

    name: str
    points: list[tuple[float, float]]
    hints: list[str]
    dots: str = "round"
    marked: bool = False


class Axis(NamedTuple):
    """A scale from values to coordinates, with its ticks.

    Attributes:
        ticks: values to label; the first and the last are the axis' ends.
        start: coordinate of the first tick.
        end: coordinate of the last tick.
        is_log: whether equal ratios are equally far apart; all values must be above 0.
    """

    ticks: list[float]
    start: float
    end: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Give the coordinate of a value."""
        low, at, high = self.ticks[0], value, self.ticks[-1]
        if self.is_log:
            low, at, high = math.log(low), math.log(at), math.log(high)
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def label(self, tick: float) -> str:
        """Write a tick."""
        return f"{tick:g}" if self.is_log else tick_label(tick, self.ticks)


def nice_ticks(values: Sequence[float], count: int = 5) -> list[float]:
    """Choose round, evenly spaced values that enclose others.

    Args:
        values: what must fit; values that are not finite are left out.
        count: about how many intervals.

    Returns:
        At least two ticks, the first at most the smallest value, the last at least the largest.

    Example:
        >>> nice_ticks([0.13, 0.92])
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
        >>> nice_ticks([20.0])
        [19.0, 19.5, 20.0, 20.5, 21.0]
    """
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        half = max(abs(low) * 0.05, 1e-3)
        low, high = low - half, high + half
    rough = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, max(last, first + 1) + 1)]


def log_ticks(values: Sequence[float]) -> list[float]:
    """Choose values of the form 1, 2 or 5 times a power of ten that enclose others.

    Args:
        values: what must fit, above 0; others are left out.

    Returns:
        At least two ticks.

    Example:
        >>> log_ticks([0.03, 0.9])
        [0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
    """
    usable = [value for value in values if value > 0 and math.isfinite(value)] or [1.0]
    low, high = min(usable), max(usable)
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    round_values = [float(f"{factor}e{power}") for power in powers for factor in (1, 2, 5)]
    first = max(index for index, value in enumerate(round_values) if value <= low)
    last = min(index for index, value in enumerate(round_values) if value >= high)
    return round_values[first : max(last, first + 1) + 1]


def tick_label(value: float, ticks: Sequence[float]) -> str:
    """Write a tick with as many decimals as the distance between ticks needs.

    Args:
        value: the tick.
        ticks: all ticks of the axis, at least two.

    Returns:
        The number, thousands separated by commas.
    """
    step = abs(ticks[1] - ticks[0])
    decimals = next((n for n in range(6) if abs(round(step, n) - step) < 1e-6 * step), 6)
    return f"{value + 0.0:,.{decimals}f}"


def line_chart(
    title: str, x_title: str, y_title: str, series: Sequence[Series], log_x: bool = False
) -> str:
    """Draw lines through points.

    Args:
        title: what a screen reader says, as plain text.
        x_title: name and unit of the horizontal axis.
        y_title: the same of the vertical axis.
        series: the lines, drawn in this order with the classes ``series-0``, ``series-1``, ...
        log_x: whether equal ratios along the horizontal axis are equally far apart.

    Returns:
        An ``svg`` element.
    """
    finite = [list(_finite_points(line)) for line in series]
    everything = [(x, y) for line in finite for _, x, y in line]
    width, height = _LINE_SIZE
    top, right, bottom, left = _LINE_MARGINS
    values = [x for x, _ in everything]
    ticks = log_ticks(values) if log_x else nice_ticks(values, 6)
    across = Axis(ticks, left, width - right, log_x)
    up = Axis(nice_ticks([y for _, y in everything]), height - bottom, top)
    parts = [
        *_grid(across, up),
        f'<text class="axis-title" x="{left}" y="16">{escape(y_title)}</text>',
        f'<text class="axis-title" x="{width - right}" y="{height - 8}" text-anchor="end">'
        f"{escape(x_title)}</text>",
    ]
    for index, (line, points) in enumerate(zip(series, finite, strict=True)):
        parts += _draw_series(index, line, points, across, up)
    parts += _legend(series, width - right, height - bottom)
    return _svg("line-chart", _LINE_SIZE, title, parts)


def bar_chart(
    title: str,
    values: Sequence[float],
    labels: Sequence[str],
    ticks: Sequence[float],
    unit: str = "",
    colours: Sequence[str] = (),
) -> str:
    """Draw bars over short labels.

    Args:
        title: what a screen reader says, as plain text.
        values: heights, 0 or more; those that are not finite draw nothing.
        labels: one below each bar.
        ticks: the axis, from 0, so that charts side by side can share one.
        unit: behind the number at the axis' end.
        colours: one per bar; by default the page's.

    Returns:
        An ``svg`` element.
    """
    width, height = _BAR_SIZE
    top, right, bottom, left = _BAR_MARGINS
    up = Axis(list(ticks), height - bottom, top)
    room = (width - left - right) / max(1, len(values))
    end = f"{tick_label(ticks[-1], ticks)}{unit}"
    parts = [
        f'<path class="grid" d="M{left} {top}H{width - right}"/>',
        f'<text x="{left}" y="{top - 6}">{escape(end)}</text>',
    ]
    for index, (value, label) in enumerate(zip(values, labels, strict=True)):
        x = left + room * index
        middle = f'x="{x + room / 2:.1f}" text-anchor="middle"'
        parts.append(f'<text {middle} y="{height - 5}">{escape(label)}</text>')
        if math.isfinite(value) and value > 0:
            hint = f"{label}: {value:,.3g}{unit}"
            colour = colours[index] if colours else ""
            parts.append(
                _bar(x + room * 0.11, room * 0.78, up.place(value), up.start, hint, colour)
            )
    parts.append(f'<path class="base" d="M{left} {up.start:.1f}H{width - right}"/>')
    return _svg("bar-chart", _BAR_SIZE, title, parts)


def _bar(x: float, width: float, top: float, bottom: float, hint: str, colour: str) -> str:
    style = f' style="fill:{escape(colour)}"' if colour else ""
    return (
        f'<rect class="bar" x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" '
        f'height="{bottom - top:.1f}"{style}><title>{escape(hint)}</title></rect>'
    )


def _svg(css: str, size: tuple[float, float], title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="chart {css}" viewBox="0 0 {size[0]:g} {size[1]:g}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def _grid(across: Axis, up: Axis) -> Iterator[str]:
    for tick in up.ticks:
        y = up.place(tick)
        yield f'<path class="grid" d="M{across.start:.1f} {y:.1f}H{across.end:.1f}"/>'
        yield (
            f'<text x="{across.start - 8:.1f}" y="{y:.1f}" dy=".35em" text-anchor="end">'
            f"{up.label(tick)}</text>"
        )
    for tick in across.ticks:
        yield (
            f'<text x="{across.place(tick):.1f}" y="{up.start:.1f}" dy="1.5em" '
            f'text-anchor="middle">{across.label(tick)}</text>'
        )
    yield f'<path class="base" d="M{across.start:.1f} {up.start:.1f}H{across.end:.1f}"/>'


def _finite_points(line: Series) -> Iterator[tuple[int, float, float]]:
    for index, (x, y) in enumerate(line.points):
        if math.isfinite(x) and math.isfinite(y):
            yield index, x, y


def _draw_series(
    index: int, line: Series, points: Sequence[tuple[int, float, float]], across: Axis, up: Axis
) -> Iterator[str]:
    places = [(number, across.place(x), up.place(y)) for number, x, y in points]
    yield f'<g class="series-{index}">'
    if line.dots != "faint" and len(places) > 1:
        path = "L".join(f"{x:.1f} {y:.1f}" for _, x, y in places)
        yield f'<path class="line" d="M{path}"/>'
    for number, x, y in places if line.dots != "none" else ():
        hint = f"<title>{escape(line.hints[number])}</title>" if line.hints else ""
        mark = f' data-mark="{number}"' if line.marked else ""
        yield f'<g class="dot"{mark}>{_dot(line.dots, x, y)}{hint}</g>'
    yield "</g>"


def _dot(kind: str, x: float, y: float) -> str:
    if kind == "square":
        return f'<rect x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9" rx="1.5"/>'
    radius = 2.5 if kind == "faint" else 5.5
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>'


def _legend(series: Sequence[Series], right: float, bottom: float) -> Iterator[str]:
    """Stack the names above the lower right corner, where rising curves leave room."""
    shown = [(index, line) for index, line in enumerate(series) if line.name]
    for place, (index, line) in enumerate(reversed(shown)):
        y = bottom - 20 - 28 * place
        yield (
            f'<g class="series-{index} key"><path class="line" d="M{right - 42} {y}h34"/>'
            f'<g class="dot">{_dot(line.dots, right - 25, y)}</g>'
            f'<text x="{right - 52}" y="{y}" dy=".35em" text-anchor="end">'
            f"{escape(line.name)}</text></g>"
        )
