"""The endless stream of training crops, a pure function of (seed, draw).

A run that is resumed at any draw sees exactly what it would have seen without the pause, and
neither the number of workers nor the batch size changes what a draw is.
"""

from abc import abstractmethod
from typing import TypeVar

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from loopyvq.data.base import ImageSet
from loopyvq.data.decoding import BrokenImageError, to_float
from loopyvq.data.transforms import CropConfig, cut_labels, draw_place, random_crop
from loopyvq.errors import DataError
from loopyvq.ops.seeding import generator_of

__all__ = ["Draws", "LabelDraws", "TrainingDraws"]

DrawT = TypeVar("DrawT")

# Keep the streams of one seed apart: the order of the images and the crops.
_ORDER_STREAM = 0
_CROP_STREAM = 1


class Draws(Dataset[DrawT]):
    """Something random of each image, in a new random order of the images every epoch.

    Draw ``i`` belongs to epoch ``i // len(image_set)`` and is a function of ``seed`` and ``i``
    alone. In place of a broken image, which is logged and counted once by the image set (in a
    strict set: raised), stands the next readable one of that epoch's order.

    Args:
        image_set: where the images come from; a changed set changes the draws.
        crop: how the crops are cut.
        seed: at least 0.
        num_draws: how many draws there are, at least 1: batch size times steps.

    Raises:
        DataError: the image set is empty.
        ValueError: ``seed`` or ``num_draws`` is outside its range.
    """

    def __init__(self, image_set: ImageSet, crop: CropConfig, seed: int, num_draws: int) -> None:
        if len(image_set) == 0:
            raise DataError("there is no image to draw from: the image set is empty")
        if seed < 0:
            raise ValueError(f"seed must be at least 0, got {seed}")
        if num_draws < 1:
            raise ValueError(f"num_draws must be at least 1, got {num_draws}")
        self.image_set = image_set
        self.crop = crop
        self.seed = seed
        self.num_draws = num_draws
        self._epoch = -1
        self._order: list[int] = []

    def __len__(self) -> int:
        return self.num_draws

    @abstractmethod
    def make(self, image: UInt8[Tensor, "c H W"], index: int, generator: torch.Generator) -> DrawT:
        """Make a draw of an image.

        Args:
            image: what the set read.
            index: its number in the set.
            generator: the only source of randomness.

        Returns:
            The draw.
        """

    def __getitem__(self, draw: int) -> DrawT:
        """Make one draw.

        Args:
            draw: 0 to ``num_draws - 1``.

        Returns:
            What `make` gives.

        Raises:
            IndexError: ``draw`` is outside its range.
            BrokenImageError: the image cannot be read and the set is strict.
            DataError: no image of the set can be read.
        """
        if not 0 <= draw < self.num_draws:
            raise IndexError(f"draw must be 0 to {self.num_draws - 1}, got {draw}")
        epoch, position = divmod(draw, len(self.image_set))
        order = self._order_of(epoch)
        generator = generator_of(self.seed, _CROP_STREAM, draw)
        for further in range(len(order)):
            index = order[(position + further) % len(order)]
            try:
                image = self.image_set.read(index)
            except BrokenImageError as error:
                self.image_set.skip(error)
            else:
                return self.make(image, index, generator)
        raise DataError(f"none of the {len(self.image_set)} images can be read")

    def _order_of(self, epoch: int) -> list[int]:
        if epoch != self._epoch:
            generator = generator_of(self.seed, _ORDER_STREAM, epoch)
            self._order = torch.randperm(len(self.image_set), generator=generator).tolist()
            self._epoch = epoch
        return self._order


class TrainingDraws(Draws[Tensor]):
    """Random crops of all images, in a new random order every epoch; see `Draws`.

    Example:
        >>> from loopyvq.data import open_image_set
        >>> draws = TrainingDraws(open_image_set("samples"), CropConfig(size=32), 0, num_draws=100)
        >>> draws[99].shape
        torch.Size([3, 32, 32])
    """

    def make(
        self, image: UInt8[Tensor, "c H W"], index: int, generator: torch.Generator
    ) -> Float[Tensor, "c S S"]:
        """Cut a crop, in [-1, 1]; see `Draws.make`."""
        return to_float(random_crop(image, self.crop, generator))


class LabelDraws(Draws[Tensor]):
    """Random crops of label maps, as `TrainingDraws` crops images; no label is made up."""

    def make(
        self, image: UInt8[Tensor, "1 H W"], index: int, generator: torch.Generator
    ) -> Int[Tensor, "S S"]:
        """Cut a crop, one label per pixel; see `Draws.make`."""
        place = draw_place(image.shape[1], image.shape[2], self.crop, generator)
        return cut_labels(image[0], place, self.crop.size).long()
