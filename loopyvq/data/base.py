"""The contract of an image set."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import TypedDict

from jaxtyping import UInt8
from torch import Tensor

from loopyvq.data.decoding import MAX_PIXELS, BrokenImageError, decode_image

__all__ = ["EncodedImageSet", "ImageSet", "ReadingOptions", "folder_classes", "folder_labels"]

_logger = logging.getLogger(__name__)


class ReadingOptions(TypedDict, total=False):
    """What all image sets take, see `ImageSet`."""

    channels: int
    strict: bool
    max_pixels: int


class ImageSet(ABC):
    """Numbered images that are read one at a time.

    An image set is picklable and may be read from several processes. ``broken`` maps the key of
    every image that was met and could not be read to the reason; a worker process counts its own.
    ``class_names`` holds the name of every class, in the order of `label`; it is empty where the
    images have no classes.

    Args:
        channels: 3 for RGB, 1 for grey.
        strict: raise at the first broken image instead of skipping it.
        max_pixels: most pixels of an image, at least 1; larger ones are broken.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(
        self, *, channels: int = 3, strict: bool = False, max_pixels: int = MAX_PIXELS
    ) -> None:
        if channels not in (1, 3):
            raise ValueError(f"channels must be 1 (grey) or 3 (RGB), got {channels}")
        if max_pixels < 1:
            raise ValueError(f"max_pixels must be at least 1, got {max_pixels}")
        self.channels = channels
        self.strict = strict
        self.max_pixels = max_pixels
        self.broken: dict[str, str] = {}
        self.class_names: tuple[str, ...] = ()

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def key(self, index: int) -> str:
        """Name an image for reports and errors.

        Args:
            index: 0 to ``len(self) - 1``.

        Returns:
            Its path, member name or number; the same in every run.
        """

    @abstractmethod
    def read(self, index: int) -> UInt8[Tensor, "c H W"]:
        """Read one image.

        Args:
            index: 0 to ``len(self) - 1``.

        Returns:
            The pixels, 0 to 255; the caller owns the tensor.

        Raises:
            BrokenImageError: the image cannot be read.
        """

    def label(self, index: int) -> int | None:
        """Tell the class of an image.

        Args:
            index: 0 to ``len(self) - 1``.

        Returns:
            The number of the class, from 0, or None where the images have no classes.
        """
        return None

    def images(self) -> Iterator[tuple[str, UInt8[Tensor, "c H W"]]]:
        """Read all images in order, leaving out the broken ones.

        Yields:
            The key and the pixels of each image.

        Raises:
            BrokenImageError: an image cannot be read and the set is strict.
        """
        for index in range(len(self)):
            try:
                image = self.read(index)
            except BrokenImageError as error:
                self.skip(error)
            else:
                yield self.key(index), image

    def skip(self, error: BrokenImageError) -> None:
        """Count and log a broken image the first time it is met.

        Args:
            error: what `read` raised.

        Raises:
            BrokenImageError: always, where the set is strict.
        """
        if self.strict:
            raise error
        if error.name not in self.broken:
            self.broken[error.name] = error.reason
            _logger.warning("skipped: %s", error)


class EncodedImageSet(ImageSet):
    """An image set whose images are files of their own, decoded when read."""

    @abstractmethod
    def read_bytes(self, index: int) -> bytes:
        """Read the file of one image, still encoded.

        Args:
            index: 0 to ``len(self) - 1``.

        Returns:
            The bytes of the file.

        Raises:
            BrokenImageError: the file is missing, unreadable or too large.
        """

    def read(self, index: int) -> UInt8[Tensor, "c H W"]:
        """Read and decode one image, see `ImageSet.read`."""
        return decode_image(
            self.read_bytes(index),
            self.key(index),
            channels=self.channels,
            max_pixels=self.max_pixels,
        )


def folder_classes(paths: Sequence[str]) -> tuple[str, ...]:
    """Name the classes of images that lie in one folder per class.

    Args:
        paths: with forward slashes, such as ``"train/cat/1.png"``.

    Returns:
        The names of the innermost folders, sorted; nothing where there are fewer than two.

    Example:
        >>> folder_classes(["train/cat/1.png", "train/ant/2.png", "train/cat/3.png"])
        ('ant', 'cat')
    """
    classes = sorted({name for path in paths if (name := PurePosixPath(path).parent.name)})
    return tuple(classes) if len(classes) > 1 else ()


def folder_labels(paths: Sequence[str]) -> tuple[int | None, ...]:
    """Number the classes of images that lie in one folder per class.

    Args:
        paths: with forward slashes, such as ``"train/cat/1.png"``.

    Returns:
        For each path the place of its folder's name ("cat") in `folder_classes`. None for a path
        without a folder, and for all paths where there are no classes.

    Example:
        >>> folder_labels(["train/cat/1.png", "train/ant/2.png", "train/cat/3.png"])
        (1, 0, 1)
        >>> folder_labels(["train/1.png", "train/2.png"])
        (None, None)
    """
    numbers = {name: number for number, name in enumerate(folder_classes(paths))}
    return tuple(numbers.get(PurePosixPath(path).parent.name) for path in paths)
