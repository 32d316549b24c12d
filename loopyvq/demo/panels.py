"""Pictures inside a page: what belongs to one photograph, side by side."""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

import torch
from jaxtyping import UInt8
from torch import Tensor

from loopyvq.data import to_pil
from loopyvq.demo.markup import show
from loopyvq.pictures import length_map
from loopyvq.tokens import Tokens

__all__ = [
    "Panel",
    "file_tag",
    "image_tag",
    "legend",
    "length_colours",
    "map_panel",
    "numbers_beside",
    "original_panel",
    "photo_article",
]

_QUALITY = 90
_MAP_OPACITY = 0.7  # as in page.css


class Panel(NamedTuple):
    """Pictures of a photograph in one place; of several, one shows at a time.

    Attributes:
        pictures: ``img`` elements.
        title: below them, as markup.
        details: beside the title, as markup.
    """

    pictures: str
    title: str
    details: str


def image_tag(
    image: UInt8[Tensor, "c H W"], alt: str, attributes: str = "", kind: str = "WEBP"
) -> str:
    """Put an image into the page.

    Args:
        image: its pixels.
        alt: what a screen reader says, as plain text; empty for nothing.
        attributes: markup that goes into the tag, with a space before it.
        kind: ``WEBP`` for photographs, ``PNG`` where every pixel counts.

    Returns:
        An ``img`` element that holds the encoded image.
    """
    buffer = io.BytesIO()
    options = {"quality": _QUALITY} if kind == "WEBP" else {"optimize": True}
    to_pil(image).save(buffer, kind, **options)
    size = (image.shape[1], image.shape[2])
    return file_tag(buffer.getvalue(), kind.lower(), size, alt, attributes)


def length_colours(max_depth: int) -> list[str]:
    """Give the colours of the length map.

    Args:
        max_depth: the largest length.

    Returns:
        ``r g b`` of each length, from 0.

    Example:
        >>> length_colours(1)
        ['27 11 63', '253 231 37']
    """
    row = length_map(torch.arange(max_depth + 1).unsqueeze(0), max_depth, 1)
    return [" ".join(map(str, colour)) for colour in row[:, 0].T.tolist()]


def legend(max_depth: int) -> str:
    """Explain the colours of the length maps.

    Args:
        max_depth: the largest length.

    Returns:
        Markup: a swatch for each length.
    """
    swatches = "".join(
        f'<li><i style="--c:rgb({colour} / {_MAP_OPACITY})"></i>{length}</li>'
        for length, colour in enumerate(length_colours(max_depth))
    )
    return f'<span>Tokens per site</span><ol class="swatches">{swatches}</ol>'


def file_tag(data: bytes, kind: str, size: tuple[int, int], alt: str, attributes: str = "") -> str:
    """Put an image file into the page as it is.

    Args:
        data: the file.
        kind: its format, as MIME types name it.
        size: height and width in pixels.
        alt: what a screen reader says, as plain text; empty for nothing.
        attributes: markup that goes into the tag, with a space before it.

    Returns:
        An ``img`` element that holds the file.
    """
    height, width = size
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return (
        f'<img src="{source}" alt="{escape(alt)}" width="{width}" height="{height}"'
        f' decoding="async"{attributes}>'
    )


def photo_article(
    name: str, size: tuple[int, int], factor: int, numbers: str, panels: Iterable[Panel | str]
) -> str:
    """Show what belongs to one photograph.

    Args:
        name: of the photograph, as plain text.
        size: height and width in pixels.
        factor: pixels per site along each side.
        numbers: beside the name, as markup.
        panels: pictures of it, of which one carries lengths (`map_panel`); or other markup in the
            place of a panel.

    Returns:
        An ``article`` element.
    """
    height, width = size
    cells = "".join(panel if isinstance(panel, str) else _figure(panel) for panel in panels)
    return (
        f'<article class="photo" data-width="{width}" data-height="{height}" '
        f'data-factor="{factor}"><div class="photo-head"><h3>{escape(name)}</h3>{numbers}'
        f'</div><div class="panels">{cells}</div></article>'
    )


def original_panel(name: str, image: UInt8[Tensor, "3 H W"]) -> Panel:
    """Show a photograph as it is.

    Args:
        name: its name, as plain text.
        image: its pixels.

    Returns:
        The panel.
    """
    height, width = image.shape[1:]
    size = f"<span>{width} &times; {height} px</span>"
    return Panel(image_tag(image, name), "Original", size)


def map_panel(
    image: UInt8[Tensor, "3 H W"], tokens: Sequence[Tokens], names: Sequence[str], factor: int
) -> Panel:
    """Lay maps of the lengths over the grey photograph.

    Args:
        image: the photograph.
        tokens: of it, per threshold.
        names: of the maps, as plain text.
        factor: pixels per site along each side.

    Returns:
        The panel.
    """
    size = (image.shape[1], image.shape[2])
    grey = image.float().mean(dim=0, keepdim=True).round().to(torch.uint8)
    maps, totals = image_tag(grey, "", ' class="below"'), '<b class="readout"></b>'
    for index, (found, name) in enumerate(zip(tokens, names, strict=True)):
        shown = show(index, len(tokens))
        maps += _map(found, name, size, factor, shown)
        sites = found.lengths.numel()
        totals += f"<span{shown}>{found.num_tokens:,} tokens, {sites:,} sites</span>"
    return Panel(maps, "Tokens per site", totals)


def numbers_beside(pairs: Sequence[tuple[str, str]], index: int, count: int) -> str:
    """Write the numbers of one threshold beside a photograph's name.

    Args:
        pairs: what each number is, and the number, as markup; the first is named before it.
        index: the place of the threshold.
        count: how many there are.

    Returns:
        A ``dl`` element.
    """
    named = ' class="named"'
    items = "".join(
        f"<div{named if place == 0 else ''}><dt>{name}</dt><dd>{value}</dd></div>"
        for place, (name, value) in enumerate(pairs)
    )
    return f'<dl class="numbers"{show(index, count)}>{items}</dl>'


def _figure(panel: Panel) -> str:
    return (
        f'<figure class="panel"><div class="frame">{panel.pictures}<i class="spot"></i></div>'
        f"<figcaption>{panel.title}{panel.details}</figcaption></figure>"
    )


def _map(tokens: Tokens, name: str, size: tuple[int, int], factor: int, shown: str) -> str:
    """Draw one pixel per site; the page enlarges it, and cuts off what padding added."""
    lengths, (height, width) = tokens.lengths, size
    across, down = lengths.shape[1] * factor / width, lengths.shape[0] * factor / height
    digits = ",".join(map(str, lengths.flatten().tolist()))
    attributes = (
        f' class="lengths" style="width:{across:.4%};height:{down:.4%}" '
        f'data-lengths="{digits}"{shown}'
    )
    return image_tag(length_map(lengths, tokens.max_depth, 1), name, attributes, "PNG")
