"""One photograph as files: ours, JPEG and WebP of as many bytes, and where the tokens went."""

from collections.abc import Iterator

from loopyvq.demo.compression_result import OTHERS, ComparedFile, ComparedPhoto, OtherFile
from loopyvq.demo.markup import number, show
from loopyvq.demo.panels import (
    Panel,
    file_tag,
    image_tag,
    map_panel,
    numbers_beside,
    original_panel,
    photo_article,
)

__all__ = ["compared_panels"]


def compared_panels(photo: ComparedPhoto, factor: int) -> str:
    """Show a photograph and its files at every threshold.

    Args:
        photo: the photograph.
        factor: pixels per site along each side.

    Returns:
        An ``article`` element.
    """
    size = (photo.original.shape[1], photo.original.shape[2])
    count = len(photo.files)
    numbers = "".join(_numbers(file, index, count) for index, file in enumerate(photo.files))
    names = [f"Map of the tokens per site in {file.path}" for file in photo.files]
    panels: list[Panel | str] = [
        original_panel(photo.name, photo.original),
        _our_panel(photo),
        map_panel(photo.original, [file.tokens for file in photo.files], names, factor),
        _comparison(photo),
        *(_other_panel(photo, place, size) for place in range(len(OTHERS))),
    ]
    return photo_article(photo.name, size, factor, numbers, panels)


def _numbers(file: ComparedFile, index: int, count: int) -> str:
    mean = file.tokens.num_tokens / max(1, file.tokens.lengths.numel())
    pairs = (
        ("threshold", file.point.setting),
        ("tokens/site", number(mean)),
        ("bits/pixel", number(file.point.rate_bpp)),
        ("bytes", f"{file.point.num_bytes:,}"),
    )
    return numbers_beside(pairs, index, count)


def _our_panel(photo: ComparedPhoto) -> Panel:
    pictures, details = "", ""
    for index, file in enumerate(photo.files):
        shown = show(index, len(photo.files))
        pictures += image_tag(file.decoded, f"{photo.name}, decoded from {file.path}", shown)
        details += f"<span{shown}>{file.point.num_bytes:,} bytes</span>"
    return Panel(pictures, "<b>loopyvq</b>", details)


def _other_panel(photo: ComparedPhoto, place: int, size: tuple[int, int]) -> Panel:
    """Show the files of another codec: the very files, which every browser can read."""
    name = list(OTHERS.values())[place]
    pictures, details = "", ""
    for index, file in enumerate(photo.files):
        shown, other = show(index, len(photo.files)), file.others[place]
        words = f"{photo.name} as {name} of {other.point.num_bytes} bytes"
        pictures += file_tag(other.data, other.point.system, size, words, shown)
        details += f"<span{shown}>{_size(other, file)}</span>"
    return Panel(pictures, name, details)


def _size(other: OtherFile, ours: ComparedFile) -> str:
    if other.fits:
        return f"{other.point.num_bytes:,} bytes"
    times = other.point.num_bytes / ours.point.num_bytes
    return f'<em class="larger">{other.point.num_bytes:,} bytes, {number(times, 1)} &times;</em>'


def _comparison(photo: ComparedPhoto) -> str:
    """Lay out the numbers of the three files, in the place of a panel."""
    tables = (
        f'<table{show(index, len(photo.files))}><thead><tr><th scope="col">{caption}</th>'
        '<th scope="col" class="more">bits/pixel</th><th scope="col">PSNR, dB</th>'
        f'<th scope="col">MS-SSIM</th></tr></thead><tbody>{"".join(_rows(file))}</tbody></table>'
        for index, file in enumerate(photo.files)
        for caption in [f"threshold {file.point.setting}"]
    )
    return f'<div class="panel versus">{"".join(tables)}</div>'


def _rows(file: ComparedFile) -> Iterator[str]:
    points = {"loopyvq": file.point}
    points |= {name: other.point for name, other in zip(OTHERS.values(), file.others, strict=True)}
    for name, point in points.items():
        yield (
            f'<tr><th scope="row">{name}</th><td class="more">{number(point.rate_bpp, 3)}</td>'
            f"<td>{number(point.psnr_db)}</td><td>{number(point.ms_ssim, 3)}</td></tr>"
        )
    larger = [
        name for name, other in zip(OTHERS.values(), file.others, strict=True) if not other.fits
    ]
    if larger:
        words = f"{' and '.join(larger)}: the smallest there is, larger than ours"
        yield f'<tr class="remark"><td colspan="4">{words}</td></tr>'
