"""Image sets made from other image sets: a part, a division in two, a copy in RAM."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from loopyvq.data.base import ImageSet
from loopyvq.errors import DataError

__all__ = ["Subset", "View", "cached", "split"]


class View(ImageSet):
    """An image set that reads through another one, whose names and classes its images have.

    Args:
        source: the set to read from.
        channels: 3 for RGB, 1 for grey; by default those of the source.
    """

    def __init__(self, source: ImageSet, channels: int | None = None) -> None:
        super().__init__(
            channels=source.channels if channels is None else channels,
            strict=source.strict,
            max_pixels=source.max_pixels,
        )
        self.source = source
        self.class_names = source.class_names

    def __len__(self) -> int:
        return len(self.source)

    def key(self, index: int) -> str:
        """Name an image as the source does."""
        return self.source.key(index)

    def label(self, index: int) -> int | None:
        """Tell the class of an image as the source does."""
        return self.source.label(index)


class Subset(View):
    """Some images of another set, in a given order.

    Args:
        image_set: the set to read from.
        indices: numbers of its images.

    Raises:
        ValueError: an index lies outside the set.
    """

    def __init__(self, image_set: ImageSet, indices: Sequence[int]) -> None:
        super().__init__(image_set)
        self.indices = tuple(indices)
        for index in self.indices:
            if not 0 <= index < len(image_set):
                raise ValueError(f"indices must be 0 to {len(image_set) - 1}, got {index}")

    def __len__(self) -> int:
        return len(self.indices)

    def key(self, index: int) -> str:
        """Name an image as the whole set does."""
        return self.source.key(self.indices[index])

    def read(self, index: int) -> UInt8[Tensor, "c H W"]:
        """Read one image, see `ImageSet.read`."""
        return self.source.read(self.indices[index])

    def label(self, index: int) -> int | None:
        """Tell the class of an image as the whole set does."""
        return self.source.label(self.indices[index])


class _Cached(View):
    def __init__(self, source: ImageSet, max_bytes: int) -> None:
        super().__init__(source)
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._images: dict[int, Tensor] = {}

    def read(self, index: int) -> UInt8[Tensor, "c H W"]:
        image = self._images.get(index)
        if image is None:
            image = self.source.read(index)
            if self.num_bytes + image.nbytes > self.max_bytes:
                return image
            self._images[index] = image
            self.num_bytes += image.nbytes
        return image.clone()  # the caller may write into it

    def __getstate__(self) -> dict[str, Any]:
        # A spawned worker fills its own cache; sending this one would copy it through a pipe.
        return {**self.__dict__, "_images": {}, "num_bytes": 0}


def cached(image_set: ImageSet, max_bytes: int) -> ImageSet:
    """Keep decoded images in RAM, so that later epochs need no decoding.

    Args:
        image_set: the set to read from.
        max_bytes: most bytes of pixels to keep, in each process; images beyond that are decoded
            at every read.

    Returns:
        A set that reads the same images.

    Raises:
        ValueError: ``max_bytes`` is negative.
    """
    if max_bytes < 0:
        raise ValueError(f"max_bytes must be at least 0, got {max_bytes}")
    return _Cached(image_set, max_bytes)


def split(image_set: ImageSet, num_validation: int, seed: int) -> tuple[ImageSet, ImageSet]:
    """Divide a set at random into training and validation images.

    Args:
        image_set: the set to divide.
        num_validation: images to hold out, 0 to ``len(image_set) - 1``.
        seed: fixes the division, at least 0.

    Returns:
        The training and the validation set; together they are the whole, each in its order.

    Raises:
        DataError: ``num_validation`` is negative or leaves no image for training.
    """
    if not 0 <= num_validation < len(image_set):
        raise DataError(
            f"cannot hold out {num_validation} of {len(image_set)} images for validation:"
            f" choose 0 to {max(len(image_set) - 1, 0)}"
        )
    order = torch.randperm(len(image_set), generator=torch.Generator().manual_seed(seed)).tolist()
    training, validation = sorted(order[num_validation:]), sorted(order[:num_validation])
    return Subset(image_set, training), Subset(image_set, validation)
