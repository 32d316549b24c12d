"""Random crops for training."""

from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from loopyvq.data.decoding import to_pil
from loopyvq.errors import ConfigError

__all__ = ["CropConfig", "random_crop"]


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


def random_crop(
    image: UInt8[Tensor, "c H W"], config: CropConfig, generator: torch.Generator
) -> UInt8[Tensor, "c S S"]:
    """Cut a random square and resize it, antialiased (bicubic).

    Args:
        image: pixels with 1 or 3 channels.
        config: the size of the result and how the square is drawn.
        generator: the only source of randomness; each call draws exactly four numbers, whatever
            the image and the config.

    Returns:
        The crop, ``config.size`` pixels wide and high.

    Raises:
        ValueError: the image has neither 1 nor 3 channels.

    Example:
        >>> image = torch.zeros(3, 200, 300, dtype=torch.uint8)
        >>> random_crop(image, CropConfig(size=64), torch.Generator().manual_seed(0)).shape
        torch.Size([3, 64, 64])
    """
    height, width = image.shape[-2:]
    side_draw, top_draw, left_draw, flip_draw = torch.rand(
        4, generator=generator, dtype=torch.float64
    ).tolist()
    shorter = min(height, width)
    smallest = min(config.size, shorter)
    largest = max(smallest, min(shorter, int(config.size / config.min_scale)))
    side = smallest + int(side_draw * (largest - smallest + 1))
    top = int(top_draw * (height - side + 1))
    left = int(left_draw * (width - side + 1))
    square = image[:, top : top + side, left : left + side]
    if side != config.size:
        square = _resize(square, config.size)
    return square.flip(-1) if config.flip and flip_draw < 0.5 else square.clone()


def _resize(image: UInt8[Tensor, "c H W"], size: int) -> UInt8[Tensor, "c S S"]:
    # Pillow and not torch: its 8-bit arithmetic gives the same pixels on every processor.
    resized = to_pil(image).resize((size, size), Image.Resampling.BICUBIC)
    pixels = torch.frombuffer(bytearray(resized.tobytes()), dtype=torch.uint8)
    return pixels.view(size, size, image.shape[0]).permute(2, 0, 1).contiguous()
