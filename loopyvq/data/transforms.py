"""Where a crop lies, and cutting it out of an image or of its map."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from loopyvq.data.decoding import to_pil
from loopyvq.errors import ConfigError

__all__ = [
    "CropConfig",
    "CropPlace",
    "centre_place",
    "cut",
    "cut_labels",
    "draw_place",
    "middle_of",
    "random_crop",
    "resize",
]


@dataclass(frozen=True)
class CropConfig:
    """How training crops are cut: a random square, shrunk to ``size`` and perhaps mirrored.

    The square's side, in pixels of the image, is uniform among the integers from ``size`` to
    ``size / min_scale``, but never above the image's shorter side. So 1.0 cuts at native
    resolution, and 0.5 also shows up to twice as much of the image at half the resolution. An image
    whose shorter side is below ``size`` gives a square of that side, enlarged.

    Args:
        size: side of the result in pixels, at least 1.
        min_scale: strongest shrinking, in result pixels per image pixel, above 0 up to 1.
        flip: mirror left and right with probability 1/2.

    Raises:
        ConfigError: a value is outside its range.
    """

    size: int = 128
    min_scale: float = 0.5
    flip: bool = True

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ConfigError(f"crop size must be at least 1 pixel, got {self.size}")
        if not 0.0 < self.min_scale <= 1.0:
            raise ConfigError(f"crop min_scale must be above 0 up to 1, got {self.min_scale}")


class CropPlace(NamedTuple):
    """Where a square lies in its image.

    Attributes:
        top: rows above it.
        left: columns to its left, before mirroring.
        side: of the square, in pixels.
        mirrored: whether what is cut out is mirrored left and right.
    """

    top: int
    left: int
    side: int
    mirrored: bool = False


def draw_place(
    height: int, width: int, config: CropConfig, generator: torch.Generator
) -> CropPlace:
    """Draw where to crop.

    Args:
        height: of the image, in pixels.
        width: of the image.
        config: the size of the result and how the square is drawn.
        generator: the only source of randomness; each call draws exactly four numbers, whatever
            the image and the config.

    Returns:
        The place.
    """
    side_draw, top_draw, left_draw, flip_draw = torch.rand(
        4, generator=generator, dtype=torch.float64
    ).tolist()
    shorter = min(height, width)
    smallest = min(config.size, shorter)
    largest = max(smallest, int(min(shorter, config.size / config.min_scale)))
    side = smallest + int(side_draw * (largest - smallest + 1))
    top = int(top_draw * (height - side + 1))
    left = int(left_draw * (width - side + 1))
    return CropPlace(top, left, side, config.flip and flip_draw < 0.5)


def centre_place(height: int, width: int) -> CropPlace:
    """Give the largest square in the middle of an image.

    Args:
        height: of the image, in pixels.
        width: of the image.

    Returns:
        The place.

    Example:
        >>> centre_place(10, 14)
        CropPlace(top=0, left=2, side=10, mirrored=False)
    """
    side = min(height, width)
    return CropPlace((height - side) // 2, (width - side) // 2, side)


def middle_of(image: UInt8[Tensor, "c H W"], most: int) -> UInt8[Tensor, "c H2 W2"]:
    """Cut the middle of an image that is large.

    Args:
        image: the pixels.
        most: largest side of what is left, in pixels.

    Returns:
        A view of the image; all of it where no side is larger.
    """
    top, left = (max(0, (side - most) // 2) for side in image.shape[1:])
    return image[:, top : top + most, left : left + most]


def cut(image: UInt8[Tensor, "c H W"], place: CropPlace, size: int) -> UInt8[Tensor, "c S S"]:
    """Cut a square out of an image and resize it, antialiased (bicubic).

    Args:
        image: pixels with 1 or 3 channels.
        place: within the image.
        size: side of the result, in pixels.

    Returns:
        The crop; the caller owns it.

    Raises:
        ValueError: the image has neither 1 nor 3 channels and must be resized.
    """
    square = _square(image, place)
    if place.side != size:
        square = resize(square, size)
    return square.flip(-1) if place.mirrored else square.clone()


def cut_labels(labels: UInt8[Tensor, "H W"], place: CropPlace, size: int) -> UInt8[Tensor, "S S"]:
    """Cut a square out of a label map and resize it to the nearest label: none is made up.

    Args:
        labels: one label per pixel.
        place: within the map.
        size: side of the result, in pixels.

    Returns:
        The crop.

    Example:
        >>> cut_labels(torch.tensor([[1, 7], [7, 1]], dtype=torch.uint8), CropPlace(0, 0, 2), 3)
        tensor([[1, 7, 7],
                [7, 1, 1],
                [7, 1, 1]], dtype=torch.uint8)
    """
    # The middle of each pixel of the result, in pixels of the square.
    nearest = (2 * torch.arange(size) + 1) * place.side // (2 * size)
    square = _square(labels, place)[nearest[:, None], nearest]
    return square.flip(-1) if place.mirrored else square


def random_crop(
    image: UInt8[Tensor, "c H W"], config: CropConfig, generator: torch.Generator
) -> UInt8[Tensor, "c S S"]:
    """Cut a random square and resize it, antialiased (bicubic).

    Args:
        image: pixels with 1 or 3 channels.
        config: the size of the result and how the square is drawn.
        generator: the only source of randomness, see `draw_place`.

    Returns:
        The crop, ``config.size`` pixels wide and high.

    Raises:
        ValueError: the image has neither 1 nor 3 channels.

    Example:
        >>> image = torch.zeros(3, 200, 300, dtype=torch.uint8)
        >>> random_crop(image, CropConfig(size=64), torch.Generator().manual_seed(0)).shape
        torch.Size([3, 64, 64])
    """
    place = draw_place(image.shape[1], image.shape[2], config, generator)
    return cut(image, place, config.size)


def resize(
    image: UInt8[Tensor, "c H W"],
    size: int,
    resampling: Image.Resampling = Image.Resampling.BICUBIC,
) -> UInt8[Tensor, "c S S"]:
    """Resize to a square, antialiased.

    Args:
        image: pixels with 1 or 3 channels.
        size: side of the result, in pixels.
        resampling: Pillow's filter.

    Returns:
        The pixels.
    """
    # Pillow and not torch: its 8-bit arithmetic gives the same pixels on every processor.
    resized = to_pil(image).resize((size, size), resampling)
    pixels = torch.frombuffer(bytearray(resized.tobytes()), dtype=torch.uint8)
    return pixels.view(size, size, image.shape[0]).permute(2, 0, 1).contiguous()


def _square(image: Tensor, place: CropPlace) -> Tensor:
    top, left, side, _ = place
    return image[..., top : top + side, left : left + side]
