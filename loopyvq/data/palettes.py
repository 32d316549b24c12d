"""Label maps that are painted in colours: which colour is which label."""

import colorsys
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Integer, UInt8
from torch import Tensor

from loopyvq.errors import ConfigError

__all__ = ["PALETTES", "Colours", "load_palette", "nearest_colour", "paint_labels"]

Colours = tuple[tuple[int, int, int], ...]
"""The red, green and blue of every label, 0 to 255."""

PALETTES: Final[dict[str, Colours]] = {
    # Read off the label maps of CMP Facades as pix2pix ships them, from background to shop.
    "cmp_facades": (
        (0, 0, 221),
        (0, 48, 255),
        (0, 128, 255),
        (0, 208, 255),
        (32, 255, 224),
        (112, 255, 144),
        (192, 255, 64),
        (255, 240, 0),
        (255, 160, 0),
        (255, 80, 0),
        (255, 0, 0),
        (176, 0, 0),
    ),
}
"""Colours of known label maps by the name of the set."""

_MAX_LABELS = 256


def load_palette(palette: str) -> Colours:
    """Find the colours of the labels.

    Args:
        palette: a key of `PALETTES`, or the path of a text file with one colour per line, red,
            green and blue as numbers 0 to 255; the first line is label 0. Blank lines and lines
            that start with ``#`` are left out.

    Returns:
        The colours, in the order of their labels.

    Raises:
        ConfigError: there is no such file, or it holds something else.

    Example:
        >>> len(load_palette("cmp_facades"))
        12
    """
    if palette in PALETTES:
        return PALETTES[palette]
    try:
        lines = Path(palette).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        known = ", ".join(PALETTES)
        raise ConfigError(
            f"there is no palette {palette}: give a text file of colours, or one of {known}"
        ) from error
    rows = [line.split() for line in map(str.strip, lines) if line and not line.startswith("#")]
    if not 1 <= len(rows) <= _MAX_LABELS:
        raise ConfigError(f"a palette has 1 to {_MAX_LABELS} colours, {palette} has {len(rows)}")
    return tuple(_colour(row, palette) for row in rows)


def _colour(words: list[str], palette: str) -> tuple[int, int, int]:
    try:
        red, green, blue = (int(word) for word in words)
    except ValueError:
        red = green = blue = -1
    if min(red, green, blue) < 0 or max(red, green, blue) > 255:
        raise ConfigError(
            f"a colour is three whole numbers from 0 to 255, {palette} has {' '.join(words)!r}"
        )
    return red, green, blue


def nearest_colour(image: UInt8[Tensor, "3 H W"], colours: Colours) -> UInt8[Tensor, "1 H W"]:
    """Give every pixel the label whose colour is nearest, so that JPEG's smear does no harm.

    Args:
        image: a painted label map.
        colours: of the labels, at most 256.

    Returns:
        The labels; between two colours that are equally near, the lower one.

    Example:
        >>> painted = torch.tensor([[[250, 9]], [[3, 0]], [[0, 240]]], dtype=torch.uint8)
        >>> nearest_colour(painted, ((255, 0, 0), (0, 0, 255))).tolist()
        [[[0, 1]]]
    """
    # All sums are whole numbers below 2^24: float32 is exact, and the same everywhere.
    palette = torch.tensor(colours, dtype=torch.float32)
    pixels = image.flatten(1).T.float()
    distances = palette.square().sum(dim=1) - 2 * (pixels @ palette.T)
    return distances.argmin(dim=1).to(torch.uint8).view(1, *image.shape[1:])


def paint_labels(
    labels: Integer[Tensor, "H W"], num_labels: int, colours: Colours = ()
) -> UInt8[Tensor, "3 H W"]:
    """Paint a label map, every label in a colour of its own.

    Args:
        labels: each below ``num_labels``.
        num_labels: how many there are.
        colours: of the labels; by default hues that lie far apart for neighbouring numbers.

    Returns:
        The picture.

    Example:
        >>> paint_labels(torch.tensor([[1, 0]]), 2, ((255, 0, 0), (0, 0, 9))).tolist()
        [[[0, 255]], [[0, 0]], [[9, 0]]]
    """
    palette = torch.tensor(colours or _wheel(num_labels), dtype=torch.uint8)
    return palette[labels.long().cpu()].permute(2, 0, 1).contiguous()


def _wheel(number: int) -> Colours:
    """Go round the hues in steps of the golden ratio, which comes near an earlier one late."""
    bright = [(place * 0.618034 % 1, 0.9 - 0.2 * (place % 3)) for place in range(number)]
    painted = [colorsys.hsv_to_rgb(hue, 0.8, value) for hue, value in bright]
    return tuple((round(255 * r), round(255 * g), round(255 * b)) for r, g, b in painted)
