"""Images with a map each: what lies in two places, or side by side in one picture, as one set.

A set of pairs is an image set like any other, whose images have one more plane, the map; so they
are divided, cached, skipped and drawn from in the same way. `take_apart` undoes it.
"""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from loopyvq.data.base import EncodedImageSet, ImageSet
from loopyvq.data.decoding import BrokenImageError, decode_with
from loopyvq.data.folder import SingleImage
from loopyvq.data.listing import ListedImages
from loopyvq.data.pixel_modes import to_grey_or_rgb
from loopyvq.data.views import View
from loopyvq.errors import DataError

__all__ = ["Apart", "MapFiles", "MapHalves", "PairedImages", "SideBySideImages", "take_apart"]

MapReader = Callable[[Image.Image], np.ndarray]
"""Makes a plane of bytes, ``H W``, of a loaded picture; a ValueError makes the picture broken."""


class Apart(NamedTuple):
    """An image and its map.

    Attributes:
        image: the pixels.
        map: one value per pixel.
    """

    image: UInt8[Tensor, "c H W"]
    map: UInt8[Tensor, "H W"]


def take_apart(planes: UInt8[Tensor, "c H W"]) -> Apart:
    """Divide what a set of pairs reads.

    Args:
        planes: the channels of an image, then its map.

    Returns:
        Both.
    """
    return Apart(planes[:-1], planes[-1])


class MapFiles(View):
    """Maps that are image files of their own; one plane each.

    Args:
        files: the files.
        reader: makes a map of a loaded picture.
    """

    def __init__(self, files: EncodedImageSet, reader: MapReader) -> None:
        super().__init__(files, channels=1)
        self.files = files
        self.reader = reader

    def read(self, index: int) -> UInt8[Tensor, "1 H W"]:
        """Read one map, see `ImageSet.read`."""
        key = self.key(index)
        plane = decode_with(self.reader, self.files.read_bytes(index), key, self.max_pixels)
        return torch.from_numpy(plane.copy())[None]


class PairedImages(View):
    """Images and maps that lie in two places and have the same names but for the suffix.

    Names are paths below the two places. Two lists are paired line by line, and two single files
    with each other, whatever their names.

    Args:
        images: the images; maps beyond theirs are left out.
        maps: the maps.

    Raises:
        DataError: an image has no map, or more than one.
    """

    def __init__(self, images: ImageSet, maps: ImageSet) -> None:
        super().__init__(images)
        self.maps = maps
        self._places = _match(images, maps)

    def read(self, index: int) -> UInt8[Tensor, "c H W"]:
        """Read one pair.

        Args:
            index: 0 to ``len(self) - 1``.

        Returns:
            The channels of the image, then its map.

        Raises:
            BrokenImageError: one of both cannot be read, or their sizes differ.
        """
        image = self.source.read(index)
        plane = self.maps.read(self._places[index])
        if image.shape[1:] != plane.shape[1:]:
            sizes = [f"{shape[2]} x {shape[1]}" for shape in (image.shape, plane.shape)]
            reason = f"it has {sizes[0]} pixels, but its map has {sizes[1]}"
            raise BrokenImageError(self.key(index), reason)
        return torch.cat([image, plane])


class SideBySideImages(View):
    """Pictures that hold an image in one half and its map in the other.

    Args:
        files: the pictures.
        half: where the map is.
        reader: makes a map of that half.
        channels: of the image, 3 for RGB, 1 for grey.
    """

    def __init__(
        self,
        files: EncodedImageSet,
        half: Literal["left", "right"],
        reader: MapReader,
        channels: int = 3,
    ) -> None:
        super().__init__(files, channels)
        self.files = files
        self.half = half
        self.reader = reader

    def read(self, index: int) -> UInt8[Tensor, "c H W"]:
        """Read one pair.

        Args:
            index: 0 to ``len(self) - 1``.

        Returns:
            The channels of the image, then its map.

        Raises:
            BrokenImageError: the picture cannot be read, or has no two equal halves.
        """
        key = self.key(index)
        planes = decode_with(self._planes, self.files.read_bytes(index), key, self.max_pixels)
        return torch.from_numpy(planes)

    def _planes(self, picture: Image.Image) -> np.ndarray:
        width, height = picture.width // 2, picture.height
        if picture.width % 2:
            raise ValueError(f"it is {picture.width} pixels wide: it has no two equal halves")
        halves = [picture.crop((x, 0, x + width, height)) for x in (0, width)]
        painted, image = halves if self.half == "left" else halves[::-1]
        pixels = np.asarray(to_grey_or_rgb(image, self.channels))
        return np.concatenate(
            [pixels.reshape(height, width, -1).transpose(2, 0, 1), self.reader(painted)[None]]
        )


class MapHalves(View):
    """The maps of pairs, without their images; one plane each.

    Args:
        pairs: the pairs.
    """

    def __init__(self, pairs: ImageSet) -> None:
        super().__init__(pairs, channels=1)

    def read(self, index: int) -> UInt8[Tensor, "1 H W"]:
        """Read one map, see `ImageSet.read`."""
        return self.source.read(index)[-1:].clone()


def _match(images: ImageSet, maps: ImageSet) -> tuple[int, ...]:
    """Find the number of every image's map."""
    files = maps.files if isinstance(maps, MapFiles) else maps
    for kind in (ListedImages, SingleImage):
        if isinstance(images, kind) and isinstance(files, kind):
            if len(images) != len(maps):
                raise DataError(f"there are {len(images)} images and {len(maps)} maps in the lists")
            return tuple(range(len(images)))
    places: dict[str, int] = {}
    for place in range(len(maps)):
        name = _stem(maps.key(place))
        if name in places:
            both = f"{maps.key(places[name])} and {maps.key(place)}"
            raise DataError(f"two maps have the same name but for the suffix: {both}")
        places[name] = place
    names = [images.key(index) for index in range(len(images))]
    lonely = [name for name in names if _stem(name) not in places]
    if lonely:
        raise DataError(
            f"{len(lonely)} of {len(names)} images have no map, the first is {lonely[0]}: a map has"
            f" the name of its image but for the suffix, such as {maps.key(0)}"
        )
    return tuple(places[_stem(name)] for name in names)


def _stem(key: str) -> str:
    return PurePosixPath(key).with_suffix("").as_posix()
