"""The charts of the page: quality against cost, lengths and codes, training."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from loopyvq.demo.markup import mark, number
from loopyvq.demo.own_run import measurements
from loopyvq.demo.panels import length_colours
from loopyvq.demo.result import DemoResult
from loopyvq.evaluation import PointResult
from loopyvq.evaluation.rd_curves import value_at
from loopyvq.figures import Series, bar_chart, line_chart, nice_ticks

__all__ = [
    "Row",
    "gap_at_equal_bits",
    "length_row",
    "rate_distortion_chart",
    "small_multiples",
    "smooth",
    "training_charts",
    "usage_rows",
]

# Below more bars than this only every fifth gets its number: more do not fit.
_MOST_LABELS, _LABEL_EVERY = 13, 5


def rate_distortion_chart(result: DemoResult) -> str:
    """Draw PSNR over bits per pixel, for thresholds and for fixed depths.

    Args:
        result: what the demonstration found.

    Returns:
        An ``svg`` element.
    """
    lines = (("variable length", result.points), ("fixed depth", result.fixed_depth))
    series = [
        Series(
            name if points else "",
            [(point.rate_bpp, point.psnr_db) for point in points],
            [
                (f"threshold {point.threshold:.3g}" if not place else f"depth {point.depth}")
                + f": {point.rate_bpp:.3f} bits/pixel, {point.psnr_db:.2f} dB"
                for point in points
            ],
            "square" if place else "round",
            marked=not place,
        )
        for place, (name, points) in enumerate(lines)
    ]
    title = "PSNR over bits per pixel, for thresholds and for fixed depths"
    return line_chart(title, "bits per pixel (estimated)", "PSNR, dB", series)


def gap_at_equal_bits(points: Sequence[PointResult], fixed: Sequence[PointResult]) -> str:
    """Compare at equal bits, by straight lines between the points of fixed depth.

    Args:
        points: one per threshold.
        fixed: one per depth.

    Returns:
        A sentence with the difference in PSNR at the coarsest and at the finest threshold that
        lies between two depths.
    """
    gaps, curve = [], [(point.rate_bpp, point.psnr_db) for point in fixed]
    for point in points:
        other = value_at(curve, point.rate_bpp)
        if other is not None and math.isfinite(point.psnr_db - other):
            gaps.append((point.psnr_db - other, point.threshold))
    if not gaps:
        return "The two do not overlap in bits, so they cannot be compared at equal cost here."
    ends = [gaps[0]] if len(gaps) == 1 else [min(gaps), max(gaps)]
    told = " to ".join(
        f"<b>{'+' if gap > 0 else ''}{number(gap, 1)} dB</b> (threshold {threshold:.3g})"
        for gap, threshold in ends
    )
    return f"At equal bits, variable length differs from fixed depth by {told}, in this run."


class Row(NamedTuple):
    """Small bar charts, one per threshold, on one scale.

    Attributes:
        name: what they show.
        what: the same in more words.
        values: of every bar, by threshold.
        first: the label of the first bar.
        unit: of the values.
        colours: of the bars, where they have some of their own.
    """

    name: str
    what: str
    values: list[list[float]]
    first: int
    unit: str
    colours: list[str]


def length_row(histograms: Sequence[Sequence[int]]) -> Row:
    """Show how many sites have which length.

    Args:
        histograms: sites by length, from 0, per threshold.

    Returns:
        The charts.
    """
    shares = [[100 * sites / max(1, sum(counts)) for sites in counts] for counts in histograms]
    colours = [f"rgb({colour})" for colour in length_colours(len(histograms[0]) - 1)]
    return Row("Length", "share of sites with this many tokens", shares, 0, "%", colours)


def usage_rows(result: DemoResult) -> list[Row]:
    """Show how the turns use the codebook.

    Args:
        result: what the demonstration found.

    Returns:
        Charts of the share of codes, and of the perplexity.
    """
    points, size = result.points, result.config.quantizer.codebook_size
    usage = [[100 * turn.usage for turn in point.turns] for point in points]
    perplexity = [[turn.perplexity for turn in point.turns] for point in points]
    return [
        Row("Codebook usage", "share of the codes seen at each turn", usage, 1, "%", []),
        Row("Perplexity", f"of {size:,} codes, at each turn", perplexity, 1, "", []),
    ]


def small_multiples(thresholds: Sequence[float], rows: Sequence[Row]) -> str:
    """Draw small charts, one column per threshold.

    Args:
        thresholds: coarse to fine.
        rows: of charts.

    Returns:
        Markup.
    """
    heads = "".join(
        f"<p{mark(i, len(thresholds), 'over')}>threshold <b>{threshold:.3g}</b></p>"
        for i, threshold in enumerate(thresholds)
    )
    cells = "".join(cell for row in rows for cell in _draw_row(row, thresholds))
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Lengths and codes">'
        f'<div class="multiples" style="--columns:{len(thresholds)}">{heads}{cells}</div></div>'
    )


def training_charts(history: Sequence[dict[str, object]]) -> str:
    """Draw how training went.

    Args:
        history: lines of ``metrics.jsonl``; what is missing or not finite is left out.

    Returns:
        Markup: a chart of the PSNR and one of the mean length.
    """
    charts = []
    for key, name in (("psnr_db", "PSNR of the batch, dB"), ("mean_length", "tokens per site")):
        points = measurements(history, key)
        if not points:
            continue
        average = smooth([value for _, value in points], len(points) // 12)
        steps = [step for step, _ in points]
        series = [
            Series("", points, [], "faint"),
            Series("", list(zip(steps, average, strict=True)), [], "none"),
        ]
        chart = line_chart(f"{name}, over steps of training", "step", name, series)
        charts.append(f'<figure class="history">{chart}</figure>')
    return "".join(charts) or "<p>No measurements were recorded.</p>"


def smooth(values: Sequence[float], reach: int) -> list[float]:
    """Average every value with its neighbours.

    Args:
        values: the values.
        reach: how many neighbours on each side count, where there are as many.

    Returns:
        As many values.
    """
    windows = (values[max(0, i - reach) : i + reach + 1] for i in range(len(values)))
    return [sum(window) / len(window) for window in windows]


def _draw_row(row: Row, thresholds: Sequence[float]) -> Iterator[str]:
    yield f"<h3>{row.name} <span>{row.what}</span></h3>"
    ticks = nice_ticks([0.0, *(value for bars in row.values for value in bars)], 4)
    for threshold, bars in zip(thresholds, row.values, strict=True):
        step = 1 if len(bars) <= _MOST_LABELS else _LABEL_EVERY
        numbers = range(row.first, row.first + len(bars))
        labels = [str(number) if number % step == 0 else "" for number in numbers]
        title = f"{row.name}, {row.what}, at threshold {threshold:.3g}"
        chart = bar_chart(title, bars, labels, ticks, row.unit, row.colours[: len(bars)])
        yield f'<div class="cell">{chart}</div>'
