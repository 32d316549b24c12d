"""The photographs: original, reconstruction and length map side by side, inside the page."""

import base64
import io
from collections.abc import Iterator
from html import escape

import torch
from jaxtyping import UInt8
from torch import Tensor

from loopyvq.data import to_pil
from loopyvq.demo.markup import number, show
from loopyvq.demo.result import DemoPhoto
from loopyvq.evaluation import ImageResult
from loopyvq.pictures import length_map

__all__ = ["image_tag", "legend", "length_colours", "photo_panels"]

_QUALITY = 90
_MAP_OPACITY = 0.7  # as in page.css


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
    height, width = image.shape[1:]
    return (
        f'<img src="{_uri(image, kind)}" alt="{escape(alt)}" width="{width}" height="{height}"'
        f' decoding="async"{attributes}>'
    )


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


def photo_panels(photo: DemoPhoto, factor: int) -> str:
    """Show a photograph, its reconstructions and its length maps.

    Args:
        photo: the photograph at every threshold.
        factor: pixels per site along each side.

    Returns:
        An ``article`` element.
    """
    height, width = photo.original.shape[1:]
    count = len(photo.results)
    numbers = "".join(_photo_numbers(result, i, count) for i, result in enumerate(photo.results))
    figures = "".join(
        f'<figure class="panel"><div class="frame">{images}<i class="spot"></i></div>'
        f"<figcaption>{title}{details}</figcaption></figure>"
        for images, title, details in _panels(photo, factor)
    )
    return (
        f'<article class="photo" data-width="{width}" data-height="{height}" '
        f'data-factor="{factor}"><div class="photo-head"><h3>{escape(photo.name)}</h3>{numbers}'
        f'</div><div class="panels">{figures}</div></article>'
    )


def _uri(image: UInt8[Tensor, "c H W"], kind: str) -> str:
    buffer = io.BytesIO()
    options = {"quality": _QUALITY} if kind == "WEBP" else {"optimize": True}
    to_pil(image).save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _panels(photo: DemoPhoto, factor: int) -> Iterator[tuple[str, str, str]]:
    """Give the pictures of each panel, its title and the details beside the title."""
    height, width = photo.original.shape[1:]
    size = f"<span>{width} &times; {height} px</span>"
    yield image_tag(photo.original, photo.name), "Original", size
    grey = photo.original.float().mean(dim=0, keepdim=True).round().to(torch.uint8)
    decoded, similarities = "", ""
    maps, totals = image_tag(grey, "", ' class="below"'), '<b class="readout"></b>'
    for index, result in enumerate(photo.results):
        shown = show(index, len(photo.results))
        name = f"Reconstruction of {photo.name} at threshold {result.point.threshold:.3g}"
        decoded += image_tag(result.reconstruction, name, shown)
        similarities += f"<span{shown}>SSIM {number(result.distortion.ssim)}</span>"
        maps += _map(result, shown, factor)
        tokens, sites = result.tokens.num_tokens, result.tokens.lengths.numel()
        totals += f"<span{shown}>{tokens:,} tokens, {sites:,} sites</span>"
    yield decoded, "Reconstruction", similarities
    yield maps, "Tokens per site", totals


def _photo_numbers(result: ImageResult, index: int, count: int) -> str:
    mean = result.tokens.num_tokens / max(1, result.tokens.lengths.numel())
    return (
        f'<dl class="numbers"{show(index, count)}>'
        f'<div class="named"><dt>threshold</dt><dd>{result.point.threshold:.3g}</dd></div>'
        f"<div><dt>tokens/site</dt><dd>{number(mean)}</dd></div>"
        f"<div><dt>bits/pixel</dt><dd>{number(result.rate_bpp)}</dd></div>"
        f"<div><dt>dB PSNR</dt><dd>{number(result.distortion.psnr_db, 1)}</dd></div></dl>"
    )


def _map(result: ImageResult, shown: str, factor: int) -> str:
    """Draw one pixel per site; the page enlarges it, and cuts off what padding added."""
    lengths = result.tokens.lengths
    height, width = result.reconstruction.shape[1:]
    across, down = lengths.shape[1] * factor / width, lengths.shape[0] * factor / height
    digits = ",".join(map(str, lengths.flatten().tolist()))
    name = f"Map of the tokens per site at threshold {result.point.threshold:.3g}"
    attributes = (
        f' class="lengths" style="width:{across:.4%};height:{down:.4%}" '
        f'data-lengths="{digits}"{shown}'
    )
    return image_tag(length_map(lengths, result.tokens.max_depth, 1), name, attributes, "PNG")
