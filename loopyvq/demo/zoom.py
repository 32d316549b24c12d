"""A few sites from close by: their pixels, the tokens that describe them, and their spellings."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from jaxtyping import UInt8
from torch import Tensor

from loopyvq.demo.markup import middle, show
from loopyvq.demo.panels import image_tag
from loopyvq.quantize import LoopConfig
from loopyvq.spelling import spell, symbols_to_text
from loopyvq.tokens import CONTINUE, Tokens

__all__ = ["DecodedPhoto", "introduction", "sites_in_detail"]

_SITES = 6
_MARGIN = 8  # sites around the zoomed ones in the picture that locates them


class DecodedPhoto(NamedTuple):
    """A photograph and what its tokens give.

    Attributes:
        name: its name.
        original: the pixels.
        decoded: pixels and their tokens, per threshold, coarse to fine.
    """

    name: str
    original: UInt8[Tensor, "3 H W"]
    decoded: list[tuple[UInt8[Tensor, "3 H W"], Tokens]]


def introduction(loop: LoopConfig) -> str:
    """Say what the sites show.

    Args:
        loop: of the model.

    Returns:
        A sentence or two.
    """
    more = (
        " A finer threshold goes on where a coarser one stopped: choose another and watch the "
        "columns grow or shrink."
        if loop.transform == "residual"
        else ""
    )
    return f"Neighbouring sites of one photograph, each with the tokens that describe it.{more}"


def sites_in_detail(photos: Sequence[DecodedPhoto], factor: int, loop: LoopConfig) -> str:
    """Show a row of neighbouring sites, chosen where the lengths differ most.

    Args:
        photos: to choose from.
        factor: pixels per site along each side.
        loop: of the model.

    Returns:
        Markup: where the sites lie, their pixels and tokens at every threshold, their spellings.
    """
    found = _choose_sites(photos)
    if found is None:
        return "<p>There are no photographs.</p>"
    photo, row, column, count = found
    size = loop.codebook_size

    def strip(image: Tensor) -> Tensor:
        top, left = row * factor, column * factor
        return image[:, top : top + factor, left : left + count * factor]

    original = _cells([strip(photo.original)], factor, "original")
    decoded = [strip(image) for image, _ in photo.decoded]
    strips = [
        Tokens(tokens.codes[row, column:][:count], tokens.lengths[row, column:][:count])
        for _, tokens in photo.decoded
    ]
    return (
        f'<div class="zoom"><figure>{_locator(photo, row, column, count, factor)}</figure><div>'
        f'<div class="sites" style="--columns:{count}">'
        f'<p class="row-name">Original</p>{"".join(original)}'
        '<p class="row-name">Recon&shy;struction</p>'
        f"{''.join(_cells(decoded, factor, 'reconstruction'))}"
        f'<p class="row-name tokens">Tokens</p>{"".join(_stacks(strips, size))}</div></div></div>'
        + "".join(_spellings(strips, size))
    )


def _choose_sites(photos: Sequence[DecodedPhoto]) -> tuple[DecodedPhoto, int, int, int] | None:
    """Find the row of sites whose lengths differ most at the middle threshold.

    Returns:
        The photograph, the row, the first column and the number of sites.
    """
    best: tuple[float, tuple[DecodedPhoto, int, int, int]] | None = None
    for photo in photos:
        tokens = photo.decoded[middle(len(photo.decoded))][1]
        count = min(_SITES, tokens.lengths.shape[1])
        windows = tokens.lengths.float().unfold(1, count, 1)
        dummies = (tokens.codes == CONTINUE).any(dim=-1).float().unfold(1, count, 1).amax(dim=-1)
        score = windows.std(dim=-1, correction=0) + 0.5 * dummies
        place = int(score.argmax())
        found = (photo, place // score.shape[1], place % score.shape[1], count)
        if best is None or float(score.max()) > best[0]:
            best = (float(score.max()), found)
    return best[1] if best else None


def _locator(photo: DecodedPhoto, row: int, column: int, count: int, factor: int) -> str:
    """Show the surroundings of the zoomed sites, framed."""
    height, width = photo.original.shape[1:]
    top, left = max(0, row - _MARGIN) * factor, max(0, column - _MARGIN) * factor
    bottom = min(height, (row + 1 + _MARGIN) * factor)
    right = min(width, (column + count + _MARGIN) * factor)
    crop = photo.original[:, top:bottom, left:right]
    box = (
        f"left:{(column * factor - left) / (right - left):.3%};"
        f"top:{(row * factor - top) / (bottom - top):.3%};"
        f"width:{count * factor / (right - left):.3%};height:{factor / (bottom - top):.3%}"
    )
    picture = image_tag(crop, f"Part of {photo.name}")
    return (
        f'<div class="locator">{picture}<i style="{box}"></i></div>'
        f"<figcaption>{escape(photo.name)}, row {row + 1}, sites {column + 1} to {column + count}"
        "</figcaption>"
    )


def _cells(strips: Sequence[Tensor], factor: int, name: str) -> Iterator[str]:
    """Cut strips of pixels into sites; with several, one shows at a time."""
    for site, left in enumerate(range(0, strips[0].shape[2], factor)):
        yield "<div>"
        for index, strip in enumerate(strips):
            shown = show(index, len(strips)) if len(strips) > 1 else ""
            yield image_tag(
                strip[:, :, left : left + factor], f"Site {site + 1}, {name}", shown, "PNG"
            )
        yield "</div>"


def _stacks(strips: Sequence[Tokens], codebook_size: int) -> Iterator[str]:
    for site in range(len(strips[0].lengths)):
        yield "<div>"
        for index, tokens in enumerate(strips):
            chips = (_chip(word, "li") for word in _words(tokens, site, "flat", codebook_size))
            yield f'<ol class="stack"{show(index, len(strips))}>{"".join(chips)}</ol>'
        yield "</div>"


def _spellings(strips: Sequence[Tokens], codebook_size: int) -> Iterator[str]:
    notes = {
        "dummy": "A code says whether more follow (+); STOP only where no code is last.",
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
            yield f"<small{show(index, len(strips))}>{sum(map(len, sites))} symbols</small>"
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
            yield f'<div class="groups"{show(index, len(strips))}>{spans}</div>'
        yield f"<p>{note}</p></dd></div>"
    yield "</dl>"


def _words(tokens: Tokens, site: int, spelling: str, codebook_size: int) -> list[str]:
    one = Tokens(tokens.codes[site : site + 1], tokens.lengths[site : site + 1])
    return symbols_to_text(spell(one, spelling, codebook_size), codebook_size).split()


def _chip(word: str, tag: str, count: bool = False) -> str:
    css = "count" if count else {"D": "dummy", "STOP": "stop"}.get(word, "code")
    return f'<{tag} class="chip {css}">{word}</{tag}>'
