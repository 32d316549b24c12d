"""What a demonstration of a prior learns from: small images, or crops of photographs."""

from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import UInt8
from torch import Tensor

from loopyvq.data import ImageSet, Subset, cached, open_image_set, split
from loopyvq.data.decoding import BrokenImageError
from loopyvq.data.transforms import CropConfig, centre_place, cut, random_crop
from loopyvq.errors import DataError

__all__ = ["Material", "gather_material"]

_LARGEST = 64  # images up to this side are learned whole
_PROBED = 256
_MOST_IMAGES, _CROPS = 10000, 4000
_HELD_OUT = 8
_MIN_SCALE = 0.3


class Material(NamedTuple):
    """Images for a demonstration.

    Attributes:
        name: what they are called.
        training: what is learned.
        held_out: ``n c S S``; what is not.
        probe: ``m c S S``; some training images.
        size: side of what is learned, in pixels.
        views: how many crops of each image; 1: only its middle.
        min_scale: strongest shrinking of a crop.
    """

    name: str
    training: ImageSet
    held_out: UInt8[Tensor, "n c S S"]
    probe: UInt8[Tensor, "m c S S"]
    size: int
    views: int
    min_scale: float


def gather_material(data: str | Path) -> Material:
    """Divide images into those to learn and those to complete.

    Args:
        data: what `loopyvq.data.open_image_set` opens. Images of up to 64 pixels are learned as
            they are, up to 10,000 of them; of larger ones crops.

    Returns:
        The images, grey if all are.

    Raises:
        DataError: the images cannot be read, or are too few.
    """
    images = open_image_set(data)
    first = _looked_at(images)
    if all(bool((image == image[:1]).all()) for image in first):
        images = open_image_set(data, channels=1)
    side = min(min(image.shape[1:]) for image in first)
    is_small, size = side <= _LARGEST, min(side, _LARGEST) // 4 * 4
    if size < 8 or len(images) < 3:
        raise DataError(f"{data} must hold at least 3 images of at least 8 pixels a side")
    count = _HELD_OUT if is_small else 2
    training, held_out = split(images, min(count, len(images) - 2), seed=0)
    if len(training) > _MOST_IMAGES:
        order = torch.randperm(len(training), generator=torch.Generator().manual_seed(0))
        training = Subset(training, order[:_MOST_IMAGES].tolist())
    training = cached(training, 1 << 30)
    training.class_names = images.class_names
    views = 1 if is_small else max(3, _CROPS // len(training))
    crop = CropConfig(size, 1.0 if is_small else _MIN_SCALE, flip=not is_small)
    return Material(
        name=Path(data).name,
        training=training,
        held_out=_crops(held_out, crop, 1 if is_small else _HELD_OUT // 2),
        probe=_crops(training, crop, max(1, _PROBED // len(training))),
        size=size,
        views=views,
        min_scale=crop.min_scale,
    )


def _looked_at(images: ImageSet) -> list[Tensor]:
    """Read a few images from all parts of a set."""
    step = max(1, len(images) // 20)
    found = [image for _, image in Subset(images, range(0, len(images), step)).images()]
    if not found:
        raise DataError("no image could be read")
    return found


def _crops(images: ImageSet, crop: CropConfig, times: int) -> Tensor:
    """Cut the middle of some images, and further crops of each where there are few."""
    generator = torch.Generator().manual_seed(0)
    step = max(1, len(images) * times // _PROBED)
    found: list[Tensor] = []
    for index in range(0, len(images), step):
        try:
            image = images.read(index)
        except BrokenImageError as error:
            images.skip(error)
            continue
        found.append(cut(image, centre_place(image.shape[1], image.shape[2]), crop.size))
        found += [random_crop(image, crop, generator) for _ in range(times - 1)]
    if not found:
        raise DataError("no image could be read")
    return torch.stack(found)
