"""The page of a training: where the tokens went, for a model that was trained just now."""

import shlex
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from loopyvq import __version__
from loopyvq.demo.charts import (
    gap_at_equal_bits,
    length_row,
    rate_distortion_chart,
    small_multiples,
    training_charts,
    usage_rows,
)
from loopyvq.demo.frame import Frame, fill, opening, write_page
from loopyvq.demo.markup import duration, number
from loopyvq.demo.panels import legend
from loopyvq.demo.parts import chooser, commands, facts, loop_in_words, millions, table
from loopyvq.demo.photos import photo_panels
from loopyvq.demo.result import DemoResult
from loopyvq.demo.zoom import DecodedPhoto, introduction, sites_in_detail
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
    frame = Frame(
        title="where the tokens went",
        pictures="photos",
        opening=opening("Where the tokens went", _lead(result), _note(result)),
        facts=_facts(result),
        footer=_footer(result),
    )
    write_page(path, frame, _body(result))


def _body(result: DemoResult) -> str:
    points, config = result.points, result.config
    labels = [(f"{point.threshold:.3g}", f"{number(point.rate_bpp)} bpp") for point in points]
    rows = [length_row([point.length_histogram for point in points]), *usage_rows(result)]
    return fill(
        "report.html",
        chooser=chooser(labels),
        legend=legend(config.quantizer.max_depth),
        photos="".join(photo_panels(photo, config.downsampling) for photo in result.photos),
        measured=_measured(points[0].num_images),
        table=_table(points),
        rate_distortion=rate_distortion_chart(result),
        gap=gap_at_equal_bits(points, result.fixed_depth),
        zoom_intro=introduction(config.quantizer),
        zoom=sites_in_detail(_decoded(result), config.downsampling, config.quantizer),
        multiples=small_multiples([point.threshold for point in points], rows),
        training=training_charts(result.history),
        factor=config.downsampling,
        commands=_commands(result),
    )


def _decoded(result: DemoResult) -> list[DecodedPhoto]:
    return [
        DecodedPhoto(
            photo.name,
            photo.original,
            [(found.reconstruction, found.tokens) for found in photo.results],
        )
        for photo in result.photos
    ]


def _lead(result: DemoResult) -> str:
    then = "So a site gets as many tokens as it needs, and some need none."
    return f"{loop_in_words(result.config)} {then}"


def _note(result: DemoResult) -> str:
    return (
        f"The one model on this page was trained for {duration(result.training_s)} on sample "
        "photographs, from random weights. That is very little, and the pictures are as soft as "
        "one should expect of it. What to look for is where the tokens go."
    )


def _facts(result: DemoResult) -> str:
    rates = [point.rate_bpp for point in result.points]
    pairs = (
        ("parameters", millions(result.num_parameters)),
        ("steps of training", f"{result.steps:,}"),
        ("training time", duration(result.training_s)),
        ("bits per pixel, coarse to fine", f"{number(rates[0])}&ndash;{number(rates[-1])}"),
    )
    return facts(pairs)


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
    heads = [name for name, _ in _COLUMNS]
    rows = [[cell(point) for _, cell in _COLUMNS] for point in points]
    return table("Operating points", heads, rows, marked=True)


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
    where = "The commands name the model of this page; run them where the demo ran."
    return commands(entries, where)


def _footer(result: DemoResult) -> str:
    names = ", ".join(map(escape, result.training_photos))
    return (
        f"Written by <code>loopyvq demo --train</code>, loopyvq {__version__}. The model "
        f"<code>{escape(result.model_file)}</code> was trained from seed {result.seed} on the "
        f"photographs {names}."
    )
