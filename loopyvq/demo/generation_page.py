"""The page of a prior's demonstration: samples, their lengths, completions; one HTML file."""

import base64
import shlex
from collections.abc import Iterator
from html import escape
from pathlib import Path

from jaxtyping import UInt8
from torch import Tensor

from loopyvq import __version__
from loopyvq.demo.drawn import Completion, GenerationDemo
from loopyvq.demo.frame import Frame, fill, opening, write_page
from loopyvq.demo.markup import duration, number
from loopyvq.demo.own_run import measurements
from loopyvq.demo.panels import image_tag, legend
from loopyvq.demo.parts import commands, facts
from loopyvq.figures import Series, line_chart
from loopyvq.generation import paint
from loopyvq.pictures import animation, contact_sheet, length_map, veil

__all__ = ["write_generation_page"]

_SMALL = 48  # images up to this side are enlarged with their pixels visible


def write_generation_page(result: GenerationDemo, path: Path) -> None:
    """Write the page.

    Args:
        result: what the demonstration made.
        path: the HTML file; it is replaced whole or not at all.

    Raises:
        CheckpointError: the file cannot be written.
    """
    source = result.model.source
    frame = Frame(
        title="new images, token by token",
        pictures="samples",
        opening=opening(
            "New images, token by token", _lead(result), _note(result), draws_loop=False
        ),
        facts=_facts(result),
        footer=_footer(result),
        style=fill("generation.css", rendering="pixelated" if source.height <= _SMALL else "auto"),
        chooses=False,
    )
    body = fill(
        "generation.html",
        classes=", of each class in turn" if source.classes else "",
        legend=legend(source.max_depth),
        samples="".join(_samples(result)),
        film=_film(result),
        completions="".join(_completion(item, result) for item in result.completions),
        training=_training(result.history),
        commands=_commands(result),
    )
    write_page(path, frame, body)


def _lead(result: GenerationDemo) -> str:
    source, factor = result.model.source, result.model.tokenizer.config.downsampling
    return (
        f"A tokenizer learned to write images of {source.height} &times; {source.width} pixels as "
        f"{source.rows} &times; {source.columns} sites of {factor} &times; {factor} pixels, each "
        f"with as many tokens as it needs, up to {source.max_depth}. A transformer, the prior, "
        "then learned which tokens follow which, and when a site is done. Here it writes tokens of "
        "its own, and the tokenizer paints them."
    )


def _note(result: GenerationDemo) -> str:
    return (
        f"Both models together were trained for {duration(result.training_s)} on "
        f"{escape(result.data)}, from random weights. That is very little. Look at what is "
        "plausible from one site to the next, not for sharp pictures."
    )


def _facts(result: GenerationDemo) -> str:
    last = _last(result.history, "validation_rate_bpp", "rate_bpp")
    pairs = (
        ("images or crops learned", f"{result.num_training:,}"),
        ("tokens per sample", number(result.tokens.num_tokens / len(result.samples), 1)),
        ("bits per pixel, held-out images", number(last) if last is not None else "&ndash;"),
        ("training time", duration(result.training_s)),
    )
    return facts(pairs)


def _samples(result: GenerationDemo) -> Iterator[str]:
    source, depth = result.model.source, result.tokens.max_depth
    for index, (image, lengths) in enumerate(
        zip(result.samples, result.tokens.lengths, strict=True)
    ):
        picture = _framed(image, f"Sample {index + 1}")
        small = image_tag(length_map(lengths, depth, 1), "Tokens per site", ' class="map"', "PNG")
        about = f"{int(lengths.sum())} tokens"
        if source.class_names:
            about = f"{escape(source.class_names[index % source.classes])}, {about}"
        yield (
            f'<figure><div class="pair">{picture}<div class="frame">{small}</div></div>'
            f"<figcaption>{about}</figcaption></figure>"
        )


def _film(result: GenerationDemo) -> str:
    model = result.model
    source, frames = model.source, []
    for num_sites, tokens in result.moments:
        ranks = model.ranks(model.windows(), (source.rows, source.columns))
        images = paint(model.tokenizer, tokens, source.threshold, model.trained_size)
        factor = model.tokenizer.config.downsampling
        frames.append(contact_sheet([veil(image, ranks < num_sites, factor) for image in images]))
    if not frames:
        return "<p>There is nothing to show.</p>"
    text = base64.b64encode(animation(frames)).decode()
    height, width = frames[0].shape[1:]
    return (
        f'<img src="data:image/gif;base64,{text}" alt="Samples while they are drawn" '
        f'width="{width}" height="{height}">'
    )


def _completion(item: Completion, result: GenerationDemo) -> str:
    factor = result.model.tokenizer.config.downsampling
    kept = veil(item.reconstruction, item.mask, factor, 1.0)
    parts = [
        (item.original, "image"),
        (item.reconstruction, "as tokens"),
        (kept, "kept"),
        *((image, f"drawn, {index + 1}") for index, image in enumerate(item.drawn)),
    ]
    figures = "".join(
        f"<figure>{_framed(image, words)}<figcaption>{words}</figcaption></figure>"
        for image, words in parts
    )
    return f'<div class="strip">{figures}</div>'


def _framed(image: UInt8[Tensor, "c H W"], words: str) -> str:
    return f'<div class="frame">{image_tag(image, words, "", "PNG")}</div>'


def _training(history: list[dict[str, object]]) -> str:
    """Draw nats per site of batches and of held-out images."""
    series = []
    for key, dots in (("nats_per_site", "none"), ("validation_nats_per_site", "square")):
        points = measurements(history, key)
        if points:
            name = "held-out images" if key.startswith("validation") else "batches"
            series.append(Series(name, points, [], dots))
    if not series:
        return "<p>No measurements were recorded.</p>"
    return line_chart("Nats per site over steps of training", "step", "nats per site", series)


def _commands(result: GenerationDemo) -> str:
    name = shlex.quote(result.prior_file)
    entries = (
        ("Draw more", f"loopyvq sample {name} --count 64 --out samples/ --gif"),
        ("Go on from a picture of your own", f"loopyvq complete {name} photo.png --keep top-half"),
        ("Larger than at training", f"loopyvq sample {name} --size 96x192 --count 2 --out large/"),
        (
            "Measure it",
            f"loopyvq evaluate generation {name} --data images/ --features classifier.safetensors",
        ),
    )
    where = "The commands name the prior of this page; run them where the demo ran."
    return commands(entries, where)


def _footer(result: GenerationDemo) -> str:
    return (
        f"Written by <code>loopyvq demo --generate</code>, loopyvq {__version__}. The prior "
        f"<code>{escape(result.prior_file)}</code> and its tokenizer were trained on "
        f"{escape(result.data)}."
    )


def _last(history: list[dict[str, object]], *names: str) -> float | None:
    """Find the last measurement of the first name that has any."""
    courses = (measurements(history, name) for name in names)
    return next((course[-1][1] for course in courses if course), None)
