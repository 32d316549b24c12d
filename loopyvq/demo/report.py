"""The report page: one HTML file, complete in itself, that shows where the tokens went.

The words and the layout are in ``page.html``, the looks in ``page.css``, the choice of a threshold
in ``page.js``. Whatever belongs to one threshold carries ``data-show="i"`` and is hidden while
another one is chosen, or ``data-mark="i"`` and is highlighted while it is chosen.
"""

import base64
import io
import math
import shlex
from collections.abc import Callable, Iterator, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from loopyvq.checkpoint import write_atomically
from loopyvq.data import to_pil
from loopyvq.demo.figures import Series, bar_chart, line_chart, nice_ticks, smooth
from loopyvq.demo.result import DemoPhoto, DemoResult
from loopyvq.evaluation import ImageResult, PointResult
from loopyvq.pictures import length_map
from loopyvq.spelling import spell, symbols_to_text
from loopyvq.tokens import CONTINUE, Tokens

__all__ = ["write_report"]

_QUALITY = 90
_ZOOM_SITES = 6
_ZOOM_MARGIN = 8  # sites around the zoomed ones in the picture that locates them
_MAP_OPACITY = 0.7  # as in page.css


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
    write_atomically(path, _render(result, _model(path.parent)).encode())


def _model(folder: Path) -> str | None:
    """Name the model for a command line if it lies beside the page."""
    return shlex.quote(str(folder)) if any(folder.glob("*.safetensors")) else None


def _render(result: DemoResult, model: str | None) -> str:
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
        legend=_legend(result.config.quantizer.max_depth),
        photos="".join(_photo(photo, result.config.downsampling) for photo in result.photos),
        measured=_measured(result.points[0].num_images),
        table=_table(result.points),
        rate_distortion=_rate_distortion(result),
        gap=_gap(result.points, result.fixed_depth),
        zoom_intro=_zoom_intro(result),
        zoom=_zoom(result),
        multiples=_multiples(result),
        training=_training(result.history),
        factor=result.config.downsampling,
        commands=_commands(result.points, model),
    )


# Words and numbers


def _number(value: float, digits: int = 2) -> str:
    if math.isnan(value):
        return "&ndash;"
    if math.isinf(value):
        return "&infin;" if value > 0 else "&minus;&infin;"
    return f"{value:,.{digits}f}".replace("-", "&minus;")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    parts = [f"{minutes} min"] * bool(minutes) + [f"{rest} s"] * bool(rest or not minutes)
    return " ".join(parts)


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
        f"The one model on this page was trained for {_duration(result.training_s)} on sample "
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
        ("training time", _duration(result.training_s)),
        ("bits per pixel, coarse to fine", f"{_number(rates[0])}&ndash;{_number(rates[-1])}"),
    )
    return "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)


def _middle(count: int) -> int:
    return count // 2


def _chooser(points: Sequence[PointResult]) -> str:
    labels = "".join(
        f'<label><input type="radio" name="point" value="{index}"'
        f"{' checked' if index == _middle(len(points)) else ''}>"
        f"<b>{point.threshold:.3g}</b><small>{_number(point.rate_bpp)} bpp</small></label>"
        for index, point in enumerate(points)
    )
    return (
        "<fieldset><legend>Threshold<small>coarse to fine, for the whole page</small></legend>"
        f'<div class="segments">{labels}</div></fieldset>'
    )


def _show(index: int, count: int) -> str:
    """Give the attributes of an element that belongs to one threshold."""
    return f' data-show="{index}"' + ("" if index == _middle(count) else " hidden")


def _mark(index: int, count: int, css: str = "") -> str:
    """Give the attributes of an element that is highlighted at one threshold."""
    current = "current" if index == _middle(count) else ""
    return f' class="{f"{css} {current}".strip()}" data-mark="{index}"'


# Photographs


def _uri(image: UInt8[Tensor, "c H W"], kind: str = "WEBP", quality: int = _QUALITY) -> str:
    buffer = io.BytesIO()
    options = {"quality": quality} if kind == "WEBP" else {"optimize": True}
    to_pil(image).save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _img(image: UInt8[Tensor, "c H W"], alt: str, attributes: str = "", kind: str = "WEBP") -> str:
    height, width = image.shape[1:]
    return (
        f'<img src="{_uri(image, kind)}" alt="{escape(alt)}" width="{width}" height="{height}"'
        f' decoding="async"{attributes}>'
    )


def _colours(max_depth: int) -> list[str]:
    """Give the colours of the length map for lengths 0 to ``max_depth``, as ``r g b``."""
    row = length_map(torch.arange(max_depth + 1).unsqueeze(0), max_depth, 1)
    return [" ".join(map(str, colour)) for colour in row[:, 0].T.tolist()]


def _legend(max_depth: int) -> str:
    swatches = "".join(
        f'<li><i style="--c:rgb({colour} / {_MAP_OPACITY})"></i>{length}</li>'
        for length, colour in enumerate(_colours(max_depth))
    )
    return f'<span>Tokens per site</span><ol class="swatches">{swatches}</ol>'


def _photo(photo: DemoPhoto, factor: int) -> str:
    height, width = photo.original.shape[1:]
    count, shows = len(photo.results), range(len(photo.results))
    decoded = "".join(
        _img(
            result.reconstruction,
            f"Reconstruction of {photo.name} at threshold {result.point.threshold:.3g}",
            _show(index, count),
        )
        for index, result in enumerate(photo.results)
    )
    similarity = "".join(
        f"<span{_show(i, count)}>SSIM {_number(photo.results[i].distortion.ssim)}</span>"
        for i in shows
    )
    tokens = "".join(
        f"<span{_show(i, count)}>{photo.results[i].tokens.num_tokens:,} tokens, "
        f"{photo.results[i].tokens.lengths.numel():,} sites</span>"
        for i in shows
    )
    grey = photo.original.float().mean(dim=0, keepdim=True).round().to(torch.uint8)
    maps = "".join(_map(result, i, count, factor) for i, result in enumerate(photo.results))
    panels = (
        (_img(photo.original, photo.name), "Original", f"<span>{width} &times; {height} px</span>"),
        (decoded, "Reconstruction", similarity),
        (
            _img(grey, "", ' class="below"') + maps,
            "Tokens per site",
            f'<b class="readout"></b>{tokens}',
        ),
    )
    figures = "".join(
        f'<figure class="panel"><div class="frame">{images}<i class="spot"></i></div>'
        f"<figcaption>{title}{details}</figcaption></figure>"
        for images, title, details in panels
    )
    numbers = "".join(_photo_numbers(result, i, count) for i, result in enumerate(photo.results))
    return (
        f'<article class="photo" data-width="{width}" data-height="{height}" '
        f'data-factor="{factor}"><div class="photo-head"><h3>{escape(photo.name)}</h3>{numbers}'
        f'</div><div class="panels">{figures}</div></article>'
    )


def _photo_numbers(result: ImageResult, index: int, count: int) -> str:
    mean = result.tokens.num_tokens / max(1, result.tokens.lengths.numel())
    return (
        f'<dl class="numbers"{_show(index, count)}>'
        f'<div class="named"><dt>threshold</dt><dd>{result.point.threshold:.3g}</dd></div>'
        f"<div><dt>tokens/site</dt><dd>{_number(mean)}</dd></div>"
        f"<div><dt>bits/pixel</dt><dd>{_number(result.rate_bpp)}</dd></div>"
        f"<div><dt>dB PSNR</dt><dd>{_number(result.distortion.psnr_db, 1)}</dd></div></dl>"
    )


def _map(result: ImageResult, index: int, count: int, factor: int) -> str:
    """Draw one pixel per site; the page enlarges it, and cuts off what padding added."""
    lengths = result.tokens.lengths
    height, width = result.reconstruction.shape[1:]
    across, down = lengths.shape[1] * factor / width, lengths.shape[0] * factor / height
    digits = "".join(np.base_repr(length, 36)[-1] for length in lengths.flatten().tolist())
    name = f"Map of the tokens per site at threshold {result.point.threshold:.3g}"
    attributes = (
        f' class="lengths" style="width:{across:.4%};height:{down:.4%}" '
        f'data-lengths="{digits}"{_show(index, count)}'
    )
    return _img(length_map(lengths, result.tokens.max_depth, 1), name, attributes, "PNG")


# Operating points


_Cell = Callable[[PointResult], str]
_COLUMNS: tuple[tuple[str, _Cell], ...] = (
    ("threshold", lambda point: f"{point.threshold:.3g}"),
    ("tokens per site", lambda point: _number(point.tokens_per_site)),
    ("bits per pixel", lambda point: _number(point.rate_bpp, 3)),
    ("of it stops", lambda point: _number(point.stop_bpp, 3)),
    ("PSNR, dB", lambda point: _number(point.psnr_db)),
    ("SSIM", lambda point: _number(point.ssim, 3)),
    ("sites within threshold", lambda point: f"{point.share_within_threshold:.1%}"),
)


def _table(points: Sequence[PointResult]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name, _ in _COLUMNS)
    body = "".join(
        f'<tr{_mark(index, len(points))}><th scope="row">{_COLUMNS[0][1](point)}</th>'
        + "".join(f"<td>{cell(point)}</td>" for _, cell in _COLUMNS[1:])
        + "</tr>"
        for index, point in enumerate(points)
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Operating points"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _measured(num_images: int) -> str:
    return (
        "Measured on this photograph; bits are estimates."
        if num_images == 1
        else f"Measured over {num_images} photographs: PSNR and SSIM are means, bits are estimates."
    )


def _rate_distortion(result: DemoResult) -> str:
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


def _gap(points: Sequence[PointResult], fixed: Sequence[PointResult]) -> str:
    """Compare at equal bits, by straight lines between the points of fixed depth."""
    known = sorted((p.rate_bpp, p.psnr_db) for p in fixed if math.isfinite(p.psnr_db))
    rates, heights = [rate for rate, _ in known], [psnr for _, psnr in known]
    gaps = [
        (point.threshold, point.psnr_db - float(np.interp(point.rate_bpp, rates, heights)))
        for point in points
        if known and rates[0] <= point.rate_bpp <= rates[-1] and math.isfinite(point.psnr_db)
    ]
    if not gaps:
        return "The two do not overlap in bits, so they cannot be compared at equal cost here."
    ends = gaps if len(gaps) == 1 else [gaps[0], gaps[-1]]
    told = " and ".join(
        f"<b>{'+' if gap > 0 else ''}{_number(gap, 1)} dB</b> at threshold {threshold:.3g}"
        for threshold, gap in ends
    )
    return f"At equal bits, variable length differs from fixed depth by {told}, in this run."


# Tokens of a few sites


def _zoom_intro(result: DemoResult) -> str:
    more = (
        " A finer threshold goes on where a coarser one stopped: choose another and watch the "
        "columns grow or shrink."
        if result.config.quantizer.transform == "residual"
        else ""
    )
    return f"Neighbouring sites of one photograph, each with the tokens that describe it.{more}"


def _choose_sites(photos: Sequence[DemoPhoto]) -> tuple[DemoPhoto, int, int, int] | None:
    """Find the row of sites whose lengths differ most at the middle threshold.

    Returns:
        The photograph, the row, the first column and the number of sites.
    """
    best: tuple[float, tuple[DemoPhoto, int, int, int]] | None = None
    for photo in photos:
        tokens = photo.results[_middle(len(photo.results))].tokens
        if tokens.lengths.numel() == 0:
            continue
        count = min(_ZOOM_SITES, tokens.lengths.shape[1])
        windows = tokens.lengths.float().unfold(1, count, 1)
        dummies = (tokens.codes == CONTINUE).any(dim=-1).float().unfold(1, count, 1).amax(dim=-1)
        score = windows.std(dim=-1, correction=0) + 0.5 * dummies
        place = int(score.argmax())
        found = (photo, place // score.shape[1], place % score.shape[1], count)
        if best is None or float(score.max()) > best[0]:
            best = (float(score.max()), found)
    return best[1] if best else None


def _zoom(result: DemoResult) -> str:
    found = _choose_sites(result.photos)
    if found is None:
        return "<p>There are no photographs.</p>"
    photo, row, column, count = found
    factor, size = result.config.downsampling, result.config.quantizer.codebook_size
    shows = len(photo.results)

    def pixels(image: Tensor, site: int) -> Tensor:
        top, left = row * factor, (column + site) * factor
        return image[:, top : top + factor, left : left + factor]

    def cells(images: Sequence[Tensor], name: str) -> Iterator[str]:
        for site in range(count):
            yield "<div>"
            for index, image in enumerate(images):
                shown = _show(index, shows) if len(images) > 1 else ""
                yield _img(pixels(image, site), f"Site {site + 1}, {name}", shown, "PNG")
            yield "</div>"

    strips = [
        Tokens(item.tokens.codes[row, column:][:count], item.tokens.lengths[row, column:][:count])
        for item in photo.results
    ]
    decoded = [item.reconstruction for item in photo.results]
    return (
        f'<div class="zoom"><figure>{_locator(photo, row, column, count, factor)}</figure><div>'
        f'<div class="sites" style="--columns:{count}">'
        f'<p class="row-name">Original</p>{"".join(cells([photo.original], "original"))}'
        f'<p class="row-name">Recon&shy;struction</p>{"".join(cells(decoded, "reconstruction"))}'
        f'<p class="row-name tokens">Tokens</p>{"".join(_stacks(strips, size))}</div></div></div>'
        + "".join(_spellings(strips, size))
    )


def _locator(photo: DemoPhoto, row: int, column: int, count: int, factor: int) -> str:
    """Show the surroundings of the zoomed sites, framed."""
    height, width = photo.original.shape[1:]
    top, left = max(0, row - _ZOOM_MARGIN) * factor, max(0, column - _ZOOM_MARGIN) * factor
    bottom = min(height, (row + 1 + _ZOOM_MARGIN) * factor)
    right = min(width, (column + count + _ZOOM_MARGIN) * factor)
    crop = photo.original[:, top:bottom, left:right]
    box = (
        f"left:{(column * factor - left) / (right - left):.3%};"
        f"top:{(row * factor - top) / (bottom - top):.3%};"
        f"width:{count * factor / (right - left):.3%};height:{factor / (bottom - top):.3%}"
    )
    return (
        f'<div class="locator">{_img(crop, f"Part of {photo.name}")}<i style="{box}"></i></div>'
        f"<figcaption>{escape(photo.name)}, row {row + 1}, sites {column + 1} to {column + count}"
        "</figcaption>"
    )


def _words(tokens: Tokens, site: int, spelling: str, codebook_size: int) -> list[str]:
    one = Tokens(tokens.codes[site : site + 1], tokens.lengths[site : site + 1])
    return symbols_to_text(spell(one, spelling, codebook_size), codebook_size).split()


def _chip(word: str, tag: str, count: bool = False) -> str:
    css = "count" if count else {"D": "dummy", "STOP": "stop"}.get(word, "code")
    return f'<{tag} class="chip {css}">{word}</{tag}>'


def _stacks(strips: Sequence[Tokens], codebook_size: int) -> Iterator[str]:
    for site in range(len(strips[0].lengths)):
        yield "<div>"
        for index, tokens in enumerate(strips):
            chips = (_chip(word, "li") for word in _words(tokens, site, "flat", codebook_size))
            yield f'<ol class="stack"{_show(index, len(strips))}>{"".join(chips)}</ol>'
        yield "</div>"


def _spellings(strips: Sequence[Tokens], codebook_size: int) -> Iterator[str]:
    notes = {
        "dummy": "A code says itself whether more follow (+), so STOP is only for sites without.",
        "run_length": "Runs of D become a number before the code: D D A is written 2 A.",
    }
    yield '<dl class="spellings">'
    for spelling, note in notes.items():
        yield f'<div class="spelling"><dt><code>{spelling}</code>'
        sequences = [
            [_words(tokens, site, spelling, codebook_size) for site in range(len(tokens.lengths))]
            for tokens in strips
        ]
        for index, sites in enumerate(sequences):
            yield f"<small{_show(index, len(strips))}>{sum(map(len, sites))} symbols</small>"
        yield "</dt><dd>"
        for index, sites in enumerate(sequences):
            groups = (
                "".join(
                    _chip(word, "span", spelling == "run_length" and place % 2 == 0)
                    for place, word in enumerate(words)
                )
                for words in sites
            )
            spans = "".join(f"<span>{group}</span>" for group in groups)
            yield f'<div class="groups"{_show(index, len(strips))}>{spans}</div>'
        yield f"<p>{note}</p></dd></div>"
    yield "</dl>"


# Small multiples, training, commands


def _multiples(result: DemoResult) -> str:
    points, loop = result.points, result.config.quantizer
    colours = [f"rgb({colour})" for colour in _colours(loop.max_depth)]
    shares = [
        [100 * sites / max(1, sum(point.length_histogram)) for sites in point.length_histogram]
        for point in points
    ]
    usage = [[100 * turn.usage for turn in point.turns] for point in points]
    perplexity = [[turn.perplexity for turn in point.turns] for point in points]
    rows: tuple[tuple[str, str, list[list[float]], int, str, list[str]], ...] = (
        ("Length", "share of sites with this many tokens", shares, 0, "%", colours),
        ("Codebook usage", "share of the codes seen at each turn", usage, 1, "%", []),
        ("Perplexity", f"of {loop.codebook_size:,} codes, at each turn", perplexity, 1, "", []),
    )
    parts = [
        f"<p{_mark(i, len(points), 'over')}>threshold <b>{point.threshold:.3g}</b></p>"
        for i, point in enumerate(points)
    ]
    for name, what, values, first, unit, bars in rows:
        ticks = nice_ticks([0.0, *(value for row in values for value in row)], 4)
        parts.append(f"<h3>{name} <span>{what}</span></h3>")
        for point, row in zip(points, values, strict=True):
            labels = [str(first + number) for number in range(len(row))]
            title = f"{name}, {what}, at threshold {point.threshold:.3g}"
            chart = bar_chart(title, row, labels, ticks, unit, bars[: len(row)])
            parts.append(f'<div class="cell">{chart}</div>')
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Lengths and codes">'
        f'<div class="multiples" style="--columns:{len(points)}">{"".join(parts)}</div></div>'
    )


def _training(history: Sequence[dict[str, object]]) -> str:
    charts = []
    for key, name in (("psnr_db", "PSNR of the batch, dB"), ("mean_length", "tokens per site")):
        points = [
            (float(step), float(value))
            for step, value in ((line.get("step"), line.get(key)) for line in history)
            if isinstance(step, int | float) and isinstance(value, int | float)
            if math.isfinite(value)
        ]
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


def _commands(points: Sequence[PointResult], model: str | None) -> str:
    name = model or "MODEL"
    fine = f"{points[-1].threshold:.3g}"
    thresholds = " ".join(f"{point.threshold:.3g}" for point in points)
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
    where = (
        "<code>MODEL</code> is the folder of a training run or a <code>.safetensors</code> file."
        if model is None
        else "The commands name the model of this page; run them where the demo ran."
    )
    return f'{blocks}<p class="small">{where}</p>'
