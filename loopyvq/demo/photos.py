"""The photographs: original, reconstruction and length map side by side, inside the page."""

from loopyvq.demo.markup import number, show
from loopyvq.demo.panels import (
    Panel,
    image_tag,
    map_panel,
    numbers_beside,
    original_panel,
    photo_article,
)
from loopyvq.demo.result import DemoPhoto
from loopyvq.evaluation import ImageResult

__all__ = ["photo_panels"]


def photo_panels(photo: DemoPhoto, factor: int) -> str:
    """Show a photograph, its reconstructions and its length maps.

    Args:
        photo: the photograph at every threshold.
        factor: pixels per site along each side.

    Returns:
        An ``article`` element.
    """
    size = (photo.original.shape[1], photo.original.shape[2])
    count = len(photo.results)
    numbers = "".join(_photo_numbers(result, i, count) for i, result in enumerate(photo.results))
    names = [
        f"Map of the tokens per site at threshold {result.point.threshold:.3g}"
        for result in photo.results
    ]
    tokens = [result.tokens for result in photo.results]
    panels = (
        original_panel(photo.name, photo.original),
        _decoded_panel(photo),
        map_panel(photo.original, tokens, names, factor),
    )
    return photo_article(photo.name, size, factor, numbers, panels)


def _decoded_panel(photo: DemoPhoto) -> Panel:
    pictures, similarities = "", ""
    for index, result in enumerate(photo.results):
        shown = show(index, len(photo.results))
        name = f"Reconstruction of {photo.name} at threshold {result.point.threshold:.3g}"
        pictures += image_tag(result.reconstruction, name, shown)
        similarities += f"<span{shown}>SSIM {number(result.distortion.ssim)}</span>"
    return Panel(pictures, "Reconstruction", similarities)


def _photo_numbers(result: ImageResult, index: int, count: int) -> str:
    mean = result.tokens.num_tokens / max(1, result.tokens.lengths.numel())
    pairs = (
        ("threshold", f"{result.point.threshold:.3g}"),
        ("tokens/site", number(mean)),
        ("bits/pixel", number(result.rate_bpp)),
        ("dB PSNR", number(result.distortion.psnr_db, 1)),
    )
    return numbers_beside(pairs, index, count)
