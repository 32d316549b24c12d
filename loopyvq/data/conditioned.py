"""Opening images together with their conditions, and going through them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import Dataset

from loopyvq.data.base import EncodedImageSet, ImageSet
from loopyvq.data.conditions import ConditionDataConfig, Sample, sample_of
from loopyvq.data.datasets import open_image_set
from loopyvq.data.decoding import BrokenImageError
from loopyvq.data.depth_maps import read_depth
from loopyvq.data.draws import Draws
from loopyvq.data.label_maps import LabelMapConfig, LabelReader
from loopyvq.data.pairs import MapFiles, MapHalves, MapReader, PairedImages, SideBySideImages
from loopyvq.data.transforms import CropConfig, centre_place, draw_place
from loopyvq.errors import DataError

__all__ = [
    "ConditionedDraws",
    "ConditionedImages",
    "open_conditioned_set",
    "open_depth_maps",
    "open_label_maps",
]


def open_conditioned_set(
    source: str | Path,
    config: ConditionDataConfig,
    *,
    channels: int = 3,
    strict: bool = False,
) -> ImageSet:
    """Open images together with what their conditions need.

    Args:
        source: as for `open_image_set`.
        config: which condition.
        channels: of the images, 3 for RGB, 1 for grey.
        strict: raise at the first broken image or map instead of skipping it.

    Returns:
        The image set; where the condition needs maps, its images have one more plane, the map.

    Raises:
        DataError: there are no images, no classes, or not every image has a map.
        ConfigError: the palette cannot be read.
    """
    if not config.has_maps:
        images = open_image_set(source, channels=channels, strict=strict)
        if config.kind == "class":
            _require_classes(images, source)
        return images
    reader = LabelReader(config.labels) if config.has_labels else read_depth
    if config.half != "none":
        files = _files(source, strict)
        return SideBySideImages(files, config.half, reader, channels)
    images = open_image_set(source, channels=channels, strict=strict)
    return PairedImages(images, MapFiles(_files(config.maps, strict), reader))


def open_label_maps(
    source: str | Path,
    labels: LabelMapConfig,
    half: Literal["none", "left", "right"] = "none",
    *,
    strict: bool = False,
) -> ImageSet:
    """Open label maps alone.

    Args:
        source: as for `open_image_set`; files, not an idx file.
        labels: how they are written.
        half: the half of each picture that is its map; ``none``: all of it.
        strict: raise at the first broken map instead of skipping it.

    Returns:
        A set of one plane each, the labels.

    Raises:
        DataError: there are none.
        ConfigError: the palette cannot be read.
    """
    reader: MapReader = LabelReader(labels)
    files = _files(source, strict)
    if half == "none":
        return MapFiles(files, reader)
    return MapHalves(SideBySideImages(files, half, reader))


def open_depth_maps(source: str | Path, *, strict: bool = False) -> ImageSet:
    """Open depth maps alone, as grey images, each stretched to the whole range; see `read_depth`.

    Args:
        source: as for `open_image_set`; files, not an idx file.
        strict: raise at the first broken map instead of skipping it.

    Returns:
        A set of one plane each.

    Raises:
        DataError: there are none.
    """
    return MapFiles(_files(source, strict), read_depth)


class ConditionedDraws(Draws[Sample]):
    """Random crops of all images with their conditions, in a new random order every epoch.

    The crops are those of `TrainingDraws` for the same images, crop and seed; see there.

    Args:
        image_set: what `open_conditioned_set` gave, or a view of it.
        crop: how the crops are cut.
        condition: which condition.
        seed: at least 0.
        num_draws: how many draws there are, at least 1.

    Raises:
        DataError: the image set is empty.
        ValueError: ``seed`` or ``num_draws`` is outside its range.

    Example:
        >>> edges = ConditionDataConfig(kind="edges")
        >>> images = open_conditioned_set("samples", edges)
        >>> draws = ConditionedDraws(images, CropConfig(size=32), edges, seed=0, num_draws=100)
        >>> draws[99].condition.shape
        torch.Size([1, 32, 32])
    """

    def __init__(
        self,
        image_set: ImageSet,
        crop: CropConfig,
        condition: ConditionDataConfig,
        seed: int,
        num_draws: int,
    ) -> None:
        super().__init__(image_set, crop, seed, num_draws)
        self.condition = condition

    def make(self, image: UInt8[Tensor, "c H W"], index: int, generator: torch.Generator) -> Sample:
        """Cut a sample, see `Draws.make`."""
        place = draw_place(image.shape[1], image.shape[2], self.crop, generator)
        label = self.image_set.label(index)
        return sample_of(image, place, self.crop.size, self.condition, label)


class ConditionedImages(Dataset[Sample]):
    """The middle square of every image with its condition; nothing is random.

    Args:
        image_set: what `open_conditioned_set` gave, or a view of it.
        size: side of the samples, in pixels.
        condition: which condition.

    Raises:
        ValueError: ``size`` is below 1.
    """

    def __init__(self, image_set: ImageSet, size: int, condition: ConditionDataConfig) -> None:
        if size < 1:
            raise ValueError(f"size must be at least 1 pixel, got {size}")
        self.image_set = image_set
        self.size = size
        self.condition = condition

    def __len__(self) -> int:
        return len(self.image_set)

    def __getitem__(self, index: int) -> Sample:
        """Give one sample.

        Args:
            index: 0 to ``len(self) - 1``.

        Returns:
            The sample.

        Raises:
            IndexError: ``index`` is outside its range.
            BrokenImageError: the image or its map cannot be read.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"index must be 0 to {len(self) - 1}, got {index}")
        planes = self.image_set.read(index)
        place = centre_place(planes.shape[1], planes.shape[2])
        return sample_of(planes, place, self.size, self.condition, self.image_set.label(index))

    def batches(
        self, batch_size: int, most: int | None = None
    ) -> Iterator[tuple[list[str], Sample]]:
        """Read samples in order, leaving out the broken ones.

        Args:
            batch_size: samples at once, at least 1.
            most: how many at most, at least 1; by default all.

        Yields:
            The keys of some images, and a batch of their samples.

        Raises:
            BrokenImageError: an image or its map cannot be read and the set is strict.
        """
        names: list[str] = []
        samples: list[Sample] = []
        count, last = 0, len(self) - 1
        for index in range(len(self)):
            try:
                samples.append(self[index])
                names.append(self.image_set.key(index))
                count += 1
            except BrokenImageError as error:
                self.image_set.skip(error)
            if samples and (len(samples) == batch_size or index == last or count == most):
                yield names, Sample(*(torch.stack(items) for items in zip(*samples, strict=True)))
                names, samples = [], []
            if count == most:
                return


def _files(source: str | Path, strict: bool) -> EncodedImageSet:
    images = open_image_set(source, strict=strict)
    if not isinstance(images, EncodedImageSet):
        raise DataError(f"{source} holds no image files, and maps are image files")
    return images


def _require_classes(images: ImageSet, source: str | Path) -> None:
    if not images.class_names:
        raise DataError(
            f"the images in {source} have no classes: put them into one folder per class"
        )
    for index in range(len(images)):
        if images.label(index) is None:
            raise DataError(f"{images.key(index)} has no class: it lies in no folder of its own")
