"""The report page: one HTML file, complete in itself, that shows where the tokens went.

The layout and the words that never change are in ``page.html``, the looks in ``page.css``, the
choice of a threshold in ``page.js``.
"""

import shlex
from collections.abc import Callable, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

from loopyvq import __version__
from loopyvq.checkpoint import write_atomically
from loopyvq.demo import zoom
from loopyvq.demo.charts import (
    gap_at_equal_bits,
    rate_distortion_chart,
    small_multiples,
    training_charts,
)
from loopyvq.demo.markup import duration, mark, middle, number
from loopyvq.demo.photos import legend, photo_panels
from loopyvq.demo.result import DemoResult
from loopyvq.evaluation import PointResult

__all__ = ["write_report"]


def write_report(result: DemoResult, path: Path) -> None:
    """Write the report page.

    Args:
        result: what the demonstration found, with at least one threshold.
        path: the HTML file; it is replaced whole or not at all.

    Raises:
        CheckpointError: the file cannot be written.
        ValueError: there is no threshold, or a photograph lacks results for some.
    """
    if not result.points:
        raise ValueError("result.points must hold at least one threshold")
    for photo in result.photos:
        if len(photo.results) != len(result.points):
            raise ValueError(
                f"{photo.name} has {len(photo.results)} results, expected one for each of the "
                f"{len(result.points)} thresholds"
            )
    write_atomically(path, _render(result).encode())


def _render(result: DemoResult) -> str:
    folder = resources.files("loopyvq.demo")
    texts = {name: folder.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js")}
    page = Template(folder.joinpath("page.html").read_text("utf-8"))
    return page.substitute(
        style=texts["page.css"],
        script=texts["page.js"],
        lead=_lead(result),
        note=_note(result),
        facts=_facts(result),
        chooser=_chooser(result.points),
        legend=legend(result.config.quantizer.max_depth),
        photos="".join(photo_panels(photo, result.config.downsampling) for photo in result.photos),
        measured=_measured(result.points[0].num_images),
        table=_table(result.points),
        rate_distortion=rate_distortion_chart(result),
        gap=gap_at_equal_bits(result.points, result.fixed_depth),
        zoom_intro=zoom.introduction(result),
        zoom=zoom.sites_in_detail(result),
        multiples=small_multiples(result),
        training=training_charts(result.history),
        factor=result.config.downsampling,
        commands=_commands(result),
        footer=_footer(result),
    )


def _lead(result: DemoResult) -> str:
    side, loop = result.config.downsampling, result.config.quantizer
    return (
        f"A small network reads a photograph in sites of {side} &times; {side} pixels and "
        "describes each of them with tokens: numbers of entries in a list of "
        f"{loop.codebook_size:,} learned codes. For every site it goes round a loop. It takes the "
        "code nearest to what is still unexplained, subtracts it, and stops once the rest is "
        f"smaller than a threshold, or after {loop.max_depth} turns. So a site gets as many tokens "
        "as it needs, and some need none."
    )


def _note(result: DemoResult) -> str:
    return (
        f"The one model on this page was trained for {duration(result.training_s)} on sample "
        "photographs, from random weights. That is very little, and the pictures are as soft as "
        "one should expect of it. What to look for is where the tokens go."
    )


def _facts(result: DemoResult) -> str:
    rates = [point.rate_bpp for point in result.points]
    count = result.num_parameters
    size = f"{count / 1e6:.1f} M" if count >= 1_000_000 else f"{count:,}"
    facts = (
        ("parameters", size),
        ("steps of training", f"{result.steps:,}"),
        ("training time", duration(result.training_s)),
        ("bits per pixel, coarse to fine", f"{number(rates[0])}&ndash;{number(rates[-1])}"),
    )
    return "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)


def _chooser(points: Sequence[PointResult]) -> str:
    labels = "".join(
        f'<label><input type="radio" name="point" value="{index}"'
        f"{' checked' if index == middle(len(points)) else ''}>"
        f"<b>{point.threshold:.3g}</b><small>{number(point.rate_bpp)} bpp</small></label>"
        for index, point in enumerate(points)
    )
    return (
        "<fieldset><legend>Threshold<small>coarse to fine, for the whole page</small></legend>"
        f'<div class="segments">{labels}</div></fieldset>'
    )


def _measured(num_images: int) -> str:
    return (
        "Measured on this photograph; bits are estimates."
        if num_images == 1
        else f"Measured over {num_images} photographs: PSNR and SSIM are means, bits are estimates."
    )


_Cell = Callable[[PointResult], str]
_COLUMNS: tuple[tuple[str, _Cell], ...] = (
    ("threshold", lambda point: f"{point.threshold:.3g}"),
    ("tokens per site", lambda point: number(point.tokens_per_site)),
    ("bits per pixel", lambda point: number(point.rate_bpp, 3)),
    ("of it stops", lambda point: number(point.stop_bpp, 3)),
    ("PSNR, dB", lambda point: number(point.psnr_db)),
    ("SSIM", lambda point: number(point.ssim, 3)),
    ("sites within threshold", lambda point: f"{point.share_within_threshold:.1%}"),
)


def _table(points: Sequence[PointResult]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name, _ in _COLUMNS)
    body = "".join(
        f'<tr{mark(index, len(points))}><th scope="row">{_COLUMNS[0][1](point)}</th>'
        + "".join(f"<td>{cell(point)}</td>" for _, cell in _COLUMNS[1:])
        + "</tr>"
        for index, point in enumerate(points)
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Operating points"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _commands(result: DemoResult) -> str:
    name = shlex.quote(result.model_file)
    fine = f"{result.points[-1].threshold:.3g}"
    thresholds = " ".join(f"{point.threshold:.3g}" for point in result.points)
    entries = (
        (
            "Measure it on pictures of your own",
            f"loopyvq evaluate {name} --data photos/ \\",
            f"    --thresholds {thresholds}",
        ),
        (
            "Turn a picture into tokens",
            f"loopyvq encode {name} photo.jpg --threshold {fine} --out tokens/",
        ),
        (
            "And back, or from only the first two tokens of each site",
            f"loopyvq decode {name} tokens/ --out images/",
            f"loopyvq decode {name} tokens/ --turns 2 --out rough/",
        ),
        (
            "Train a better one, for longer",
            "loopyvq train tokenizer --data photos/ --out runs/first",
        ),
    )
    blocks = "".join(
        f"<p>{what}</p><pre tabindex=0><code>{escape(chr(10).join(lines))}</code></pre>"
        for what, *lines in entries
    )
    where = "The commands name the model of this page; run them where the demo ran."
    return f'{blocks}<p class="small">{where}</p>'


def _footer(result: DemoResult) -> str:
    names = ", ".join(map(escape, result.training_photos))
    return (
        f"<p>Written by <code>loopyvq demo</code>, loopyvq {__version__}. The model "
        f"<code>{escape(result.model_file)}</code> was trained from seed {result.seed} on the "
        f"photographs {names}. This file is complete in itself and loads nothing from a network."
        "</p>"
    )
