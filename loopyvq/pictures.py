"""Pictures of tokens: where they went, and sheets of images side by side."""

import io
import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int, UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

__all__ = ["animation", "contact_sheet", "length_map", "sheet", "veil"]

# Dark blue over teal to yellow: readable in grey and by the colour-blind (after viridis).
_COLOURS = (
    (0x1B, 0x0B, 0x3F),
    (0x3B, 0x2E, 0x7E),
    (0x31, 0x58, 0x8C),
    (0x24, 0x7F, 0x8E),
    (0x21, 0xA5, 0x85),
    (0x5D, 0xC8, 0x63),
    (0xB5, 0xDE, 0x2B),
    (0xFD, 0xE7, 0x25),
)


def length_map(lengths: Int[Tensor, "h w"], max_depth: int, factor: int) -> UInt8[Tensor, "3 H W"]:
    """Colour each site by its number of tokens, dark for none, yellow for the most.

    Args:
        lengths: tokens per site.
        max_depth: the length that is yellow.
        factor: pixels per site along each side.

    Returns:
        The picture, ``factor`` times as large as the grid of sites.
    """
    palette = torch.tensor(_COLOURS, dtype=torch.float32)
    place = lengths.float().cpu() / max(1, max_depth) * (len(_COLOURS) - 1)
    below = place.floor().long().clamp(0, len(_COLOURS) - 2)
    share = (place - below).unsqueeze(2)
    colours = torch.lerp(palette[below], palette[below + 1], share).permute(2, 0, 1)
    large = colours.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    return large.round().to(torch.uint8)


def sheet(
    rows: Sequence[Sequence[UInt8[Tensor, "_ _ _"]]], gap: int = 4
) -> UInt8[Tensor, "3 H2 W2"]:
    """Put images side by side, one row under the other, on white.

    Args:
        rows: images of any sizes; grey ones become colour.
        gap: pixels between them.

    Returns:
        The sheet.
    """
    strips = [torch.cat([_cell(image, row, gap) for image in row], dim=2) for row in rows]
    width = max(strip.shape[2] for strip in strips)
    padded = [F.pad(strip, (0, width - strip.shape[2]), value=255) for strip in strips]
    return F.pad(torch.cat(padded, dim=1), (gap, 0, gap, 0), value=255)


def contact_sheet(
    images: Sequence[UInt8[Tensor, "_ _ _"]], columns: int | None = None, gap: int = 2
) -> UInt8[Tensor, "3 H2 W2"]:
    """Put many images on one sheet, in the order of reading.

    Args:
        images: at least one.
        columns: images in a row; by default about as many as there are rows.
        gap: pixels between them.

    Returns:
        The sheet.

    Raises:
        ValueError: there is no image, or no column.

    Example:
        >>> contact_sheet([torch.zeros(1, 8, 8, dtype=torch.uint8)] * 5).shape
        torch.Size([3, 22, 32])
    """
    columns = math.ceil(math.sqrt(len(images))) if columns is None else columns
    if not images or columns < 1:
        raise ValueError(
            f"a sheet needs images and columns, got {len(images)} images in {columns} columns"
        )
    rows = [images[start : start + columns] for start in range(0, len(images), columns)]
    return sheet(rows, gap)


def veil(
    image: UInt8[Tensor, "c H W"],
    there: Bool[Tensor, "h w"],
    factor: int,
    strength: float = 0.8,
) -> UInt8[Tensor, "c H W"]:
    """Fade what is not drawn yet.

    Args:
        image: the pixels.
        there: sites that are drawn.
        factor: pixels per site along each side.
        strength: share of white, in [0, 1].

    Returns:
        The image, nearly white where nothing is drawn.
    """
    large = there.repeat_interleave(factor, 0).repeat_interleave(factor, 1)
    faded = (255 - (255 - image.float()) * (1 - strength)).round().to(torch.uint8)
    return torch.where(large[: image.shape[1], : image.shape[2]], image, faded)


def animation(
    frames: Sequence[UInt8[Tensor, "3 H W"]], frame_ms: int = 80, hold_ms: int = 2000
) -> bytes:
    """Make a GIF that plays for ever.

    Args:
        frames: pictures of one size, at least one.
        frame_ms: how long each is seen, in milliseconds.
        hold_ms: how long the last one is seen.

    Returns:
        The file.

    Raises:
        ValueError: there is no frame, or they differ in size.
    """
    if not frames or len({frame.shape for frame in frames}) > 1:
        raise ValueError(f"an animation needs frames of one size, got {len(frames)}")
    pictures = [Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy()) for frame in frames]
    # One palette for all: colours do not flicker.
    some = torch.cat([*frames[:: max(1, len(frames) // 4)], frames[-1]], dim=1)
    palette = Image.fromarray(some.permute(1, 2, 0).contiguous().numpy()).quantize(256)
    drawn = [
        picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        for picture in pictures
    ]
    buffer = io.BytesIO()
    times = [*[frame_ms] * (len(drawn) - 1), hold_ms]
    drawn[0].save(
        buffer, "GIF", save_all=True, append_images=drawn[1:], duration=times, loop=0, disposal=1
    )
    return buffer.getvalue()


def _cell(image: Tensor, row: Sequence[Tensor], gap: int) -> UInt8[Tensor, "3 H W"]:
    height = max(other.shape[1] for other in row)
    colour = image.expand(3, -1, -1) if image.shape[0] == 1 else image
    return F.pad(colour, (0, gap, 0, height - image.shape[1] + gap), value=255)
