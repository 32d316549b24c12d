"""The page of the model in the box: files of photographs beside JPEG and WebP."""

import math
import shlex
from collections.abc import Sequence
from html import escape
from pathlib import Path

from loopyvq import __version__
from loopyvq.demo.charts import length_row, small_multiples
from loopyvq.demo.compression_photos import compared_panels
from loopyvq.demo.compression_result import (
    OTHERS,
    BoundCheck,
    ComparedPhoto,
    CompressionDemo,
    MeanFile,
    gap_to,
    means_at,
)
from loopyvq.demo.frame import Frame, fill, opening, write_page
from loopyvq.demo.markup import number
from loopyvq.demo.panels import legend
from loopyvq.demo.parts import chooser, commands, facts, loop_in_words, millions, table
from loopyvq.demo.zoom import DecodedPhoto, sites_in_detail
from loopyvq.figures import Series, line_chart

__all__ = ["write_compression_page"]


def write_compression_page(demo: CompressionDemo, path: Path) -> None:
    """Write the page.

    Args:
        demo: what was found, with at least one photograph and one threshold.
        path: the HTML file; it is replaced whole or not at all.

    Raises:
        CheckpointError: the file cannot be written.
        ValueError: there is no photograph or threshold, or a photograph lacks files for some.
    """
    count = len(demo.thresholds)
    if not demo.photos or not count or any(len(photo.files) != count for photo in demo.photos):
        raise ValueError("demo.photos must hold photographs with one file per threshold each")
    frame = Frame(
        title="photographs in a few kilobytes",
        pictures="photos",
        opening=opening("As many tokens as each site needs", _lead(demo), _note(demo)),
        facts=_facts(demo),
        footer=_footer(demo),
    )
    write_page(path, frame, _body(demo))


def _body(demo: CompressionDemo) -> str:
    photos, factor, loop = demo.photos, demo.config.downsampling, demo.config.quantizer
    means = [means_at(photos, place) for place in range(len(demo.thresholds))]
    labels = [
        (f"{threshold:.3g}", f"{number(ours.rate_bpp)} bpp")
        for threshold, (ours, *_) in zip(demo.thresholds, means, strict=True)
    ]
    return fill(
        "compression.html",
        chooser=chooser(labels),
        learned=_learned(demo),
        legend=legend(loop.max_depth),
        photos="".join(compared_panels(photo, factor) for photo in photos),
        zoom=sites_in_detail(list(map(_decoded, photos)), factor, loop),
        count=len(photos),
        table=_table(demo, means),
        rate_distortion=_chart(demo, means),
        gaps="".join(f"<p>{_gap_in_words(photos, system)}</p>" for system in OTHERS),
        multiples=small_multiples(demo.thresholds, [length_row(_histograms(demo))]),
        check=_check(demo.check),
        verdict=_verdict(demo.check),
        factor=factor,
        commands=_commands(demo),
    )


def _lead(demo: CompressionDemo) -> str:
    then = "So a site gets many tokens where much is to be seen, and few where little is."
    return f"{loop_in_words(demo.config)} {then}"


def _note(demo: CompressionDemo) -> str:
    return (
        f"The model is <code>{escape(demo.model)}</code>, which comes with loopyvq, and this page "
        "needed no training. Each picture marked loopyvq was read from a file that the "
        "demonstration wrote, every byte counted. Beside it stand the best JPEG and the best WebP "
        "of at most as many bytes."
    )


def _learned(demo: CompressionDemo) -> str:
    if not demo.learned:
        return "The model was not trained on any of them."
    names = ", ".join(map(escape, demo.learned))
    return f"Mind that the model was trained on {names}, which flatters it there."


def _facts(demo: CompressionDemo) -> str:
    rates = [means_at(demo.photos, place)[0].rate_bpp for place in (0, -1)]
    pairs = [
        (f"parameters, {demo.model_bytes / 1e6:.1f} MB on disk", millions(demo.num_parameters)),
        ("bits per pixel, coarse to fine", f"{number(rates[0])}&ndash;{number(rates[1])}"),
    ]
    for system, name in OTHERS.items():
        gap = gap_to(demo.photos, system)
        pairs.append((f"PSNR against {name} at equal bytes", _signed(gap.psnr_db, 1, " dB")))
    return facts(pairs)


def _decoded(photo: ComparedPhoto) -> DecodedPhoto:
    pairs = [(file.decoded, file.tokens) for file in photo.files]
    return DecodedPhoto(photo.name, photo.original, pairs)


def _table(demo: CompressionDemo, means: Sequence[Sequence[MeanFile]]) -> str:
    names = ["loopyvq", *OTHERS.values()]
    heads = ["threshold", "bytes", "bits per pixel"]
    heads += [f"{name}<br>PSNR, dB" for name in names]
    heads += [f"{name}<br>MS-SSIM" for name in names]
    rows = []
    for threshold, systems in zip(demo.thresholds, means, strict=True):
        ours = systems[0]
        row = [f"{threshold:.3g}", number(ours.num_bytes, 0), number(ours.rate_bpp, 3)]
        row += [number(mean.psnr_db) + _larger(mean, ours) for mean in systems]
        row += [number(mean.ms_ssim, 3) for mean in systems]
        rows.append(row)
    return table("Operating points", heads, rows, marked=True)


def _larger(mean: MeanFile, ours: MeanFile) -> str:
    words = mean.larger_than(ours)
    return words and f"<small>{words}</small>"


def _chart(demo: CompressionDemo, means: Sequence[Sequence[MeanFile]]) -> str:
    series = []
    for place, name in enumerate(["loopyvq", *OTHERS.values()]):
        curve = [systems[place] for systems in means]
        hints = [
            f"{name}{'' if place == 0 else ' beside'} threshold {threshold:.3g}: "
            f"{mean.rate_bpp:.3f} bits/pixel, {mean.psnr_db:.2f} dB"
            for threshold, mean in zip(demo.thresholds, curve, strict=True)
        ]
        points = [(mean.rate_bpp, mean.psnr_db) for mean in curve]
        dots = "square" if place else "round"
        series.append(Series(name, points, hints, dots, marked=place == 0))
    title = "PSNR over bits per pixel, for loopyvq, JPEG and WebP"
    return line_chart(title, "bits per pixel, whole file", "PSNR, dB", series, log_x=True)


def _gap_in_words(photos: Sequence[ComparedPhoto], system: str) -> str:
    name, gap = OTHERS[system], gap_to(photos, system)
    if not gap.num_compared:
        return f"No {name} is as small as our files, so there is nothing to compare."
    told = (
        f"Against {name} of at most as many bytes: <b>{_signed(gap.psnr_db, 1, ' dB')}</b> PSNR "
        f"and <b>{_signed(gap.ms_ssim, 3)}</b> MS-SSIM, on average over {gap.num_compared} of "
        f"{gap.num_files} files. Its quality comes in steps, so its files are "
        f"{number(-gap.bytes_percent, 1)} % smaller."
    )
    if gap.num_compared == gap.num_files:
        return told
    return (
        f"{told} For the others, the smallest {name} that can be written is larger than ours; it "
        "is shown, and counts in no average here."
    )


def _histograms(demo: CompressionDemo) -> list[list[int]]:
    """Count the sites of all photographs by length, per threshold."""
    depth = demo.config.quantizer.max_depth
    return [
        [
            sum(int((photo.files[place].tokens.lengths == length).sum()) for photo in demo.photos)
            for length in range(depth + 1)
        ]
        for place in range(len(demo.thresholds))
    ]


def _check(check: BoundCheck) -> str:
    heads = ["file", "bytes", "threshold", "promised", "worst site", "within", "with a remainder"]
    found = check.found
    row = [
        f"<code>{escape(check.path)}</code>",
        f"{check.num_bytes:,}",
        f"{found.threshold:.3g}",
        "nothing" if found.bound is None else f"{found.bound:.5f}",
        f"{found.worst:.5f}",
        f"{found.share_within:.1%}",
        f"{check.num_escaped:,} of {check.num_sites:,} sites",
    ]
    return table("A bounded file", heads, [row], marked=False)


def _verdict(check: BoundCheck) -> str:
    found = check.found
    kept = found.bound is not None and found.worst <= found.bound
    return "The promise is kept." if kept else "<b>The promise is not kept.</b>"


def _commands(demo: CompressionDemo) -> str:
    middle = demo.photos[0].files[len(demo.thresholds) // 2]
    entries = (
        (
            "Compress a picture of your own: by quality, or to a size",
            f"loopyvq compress photo.jpg --threshold {middle.point.setting} \\",
            "    --stop in_context --no-bound",
            "loopyvq compress photo.jpg --max-bytes 4000",
        ),
        (
            "With a promise for every site, and check it",
            f"loopyvq compress photo.jpg --threshold {middle.point.setting}",
            "loopyvq verify compressed/photo.jpg.lvq --original photo.jpg",
        ),
        (
            "And back, or look into a file of this page",
            "loopyvq decompress compressed/photo.jpg.lvq",
            f"loopyvq info {shlex.quote(middle.path)}",
        ),
        (
            "Whole curves on pictures of your own, beside JPEG, WebP and AVIF",
            f"loopyvq evaluate rd --data photos/ --model {demo.model}",
        ),
        ("Watch a model learn, for two minutes", "loopyvq demo --train"),
    )
    where = "The files of this page are named from where the demo ran."
    return commands(entries, where)


def _footer(demo: CompressionDemo) -> str:
    names = ", ".join(escape(photo.name) for photo in demo.photos)
    return (
        f"Written by <code>loopyvq demo</code>, loopyvq {__version__}, with the model "
        f"<code>{escape(demo.model)}</code>. The photographs {names} come with scikit-image."
    )


def _signed(value: float, digits: int, unit: str = "") -> str:
    if math.isnan(value):
        return "&ndash;"
    return f"{'+' if round(value, digits) > 0 else ''}{number(value, digits)}{unit}"
