"""One HTML file, complete in itself, with the curves and tables of a comparison."""

from collections.abc import Sequence
from html import escape
from importlib import resources
from string import Template

from loopyvq import __version__
from loopyvq.evaluation.rd_points import MEASURES, RdPoint, measures_in, systems_of
from loopyvq.evaluation.rd_report import RATES, Row, cells_of, compare_systems, mean_curve
from loopyvq.figures import Series, line_chart

__all__ = ["render_page"]


def render_page(
    points: Sequence[RdPoint],
    data: str,
    command: str,
    most_bpp: float = RATES[-1],
    against: str | None = None,
) -> str:
    """Write a page.

    Args:
        points: of all systems and images, at least one.
        data: what the images are called.
        command: what made the points.
        most_bpp: where the range of rates ends over which gains are averaged.
        against: the system that all are compared with; by default the first.

    Returns:
        HTML.
    """
    page = resources.files("loopyvq.evaluation").joinpath("rd_page.html").read_text("utf-8")
    systems, images = systems_of(points), {point.image for point in points}
    lead = f"{len(points):,} files of {len(images)} images of {data}, by {len(systems)} systems."
    return Template(page).substitute(
        lead=escape(lead),
        most=f"{most_bpp:g}",
        first=escape(against or systems[0]),
        sections="".join(
            _section(points, measure, compare_systems(points, measure, most_bpp, against))
            for measure in measures_in(points)
        ),
        command=escape(command),
        version=__version__,
    )


def _section(points: Sequence[RdPoint], measure: str, rows: Sequence[Row]) -> str:
    return (
        f"<h2>{MEASURES[measure]}</h2><figure>{_chart(points, measure)}{_keys(points)}</figure>"
        f'<div class="scroll">{_table(cells_of(rows, measure))}</div>'
    )


def _chart(points: Sequence[RdPoint], measure: str) -> str:
    series = []
    for system in systems_of(points):
        curve = mean_curve(points, system, measure)
        places = [(point.rate_bpp, float(getattr(point, measure))) for point in curve]
        hints = [
            f"{system}, {point.setting}: {x:.3f} bits/pixel, {y:.4g}"
            for point, (x, y) in zip(curve, places, strict=True)
        ]
        series.append(Series("", places, hints))
    title = f"{MEASURES[measure]} over bits per pixel"
    return line_chart(title, "bits per pixel, whole file", MEASURES[measure], series, log_x=True)


def _keys(points: Sequence[RdPoint]) -> str:
    items = "".join(
        f'<li class="series-{index}">{escape(system)}</li>'
        for index, system in enumerate(systems_of(points))
    )
    return f'<ul class="keys">{items}</ul>'


def _table(lines: Sequence[Sequence[str]]) -> str:
    heads, *rows = lines
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, *cells in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
