"""The idx format of MNIST and its kin: one array of grey images, often gzipped.

    0000 0803 | number | height | width | pixels, one byte each      (big-endian 32-bit fields)
    0000 0801 | number | labels, one byte each

Reference: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", 1998, section
"File formats".
"""

import gzip
import io
import math
import struct
import zlib
from pathlib import Path
from typing import Unpack

import torch
from jaxtyping import UInt8
from torch import Tensor

from loopyvq.data.base import ImageSet, ReadingOptions
from loopyvq.errors import DataError

__all__ = ["IdxImages", "is_idx_file"]

_IMAGES_MAGIC = 2051
_LABELS_MAGIC = 2049
_GZIP_MAGIC = b"\x1f\x8b"
_MAX_DEFLATE_RATIO = 1032  # zlib's documented bound
_CHUNK_BYTES = 2**20


class IdxImages(ImageSet):
    """The images of an idx3 file, held in RAM; the key is the file's name and the number.

    Labels come from the file beside it, where "images-idx3" in the name becomes "labels-idx1".

    Args:
        path: the file, plain or gzipped; which one is told by its first bytes.
        options: ``channels``, ``strict`` and ``max_pixels``, see `ImageSet`; grey is repeated for
            RGB, and a file is intact as a whole or refused.

    Raises:
        DataError: the file or its labels cannot be read, are no idx files, or are not exactly as
            long as their headers say, or the images have more than ``max_pixels`` pixels.
    """

    def __init__(self, path: str | Path, **options: Unpack[ReadingOptions]) -> None:
        super().__init__(**options)
        self.path = Path(path)
        (number, height, width), pixels = _read_idx(self.path, _IMAGES_MAGIC, 3)
        if number * height * width == 0:
            raise DataError(f"{path} holds no images: its header says {number}x{height}x{width}")
        if height * width > self.max_pixels:
            allowed = f"allowed: {self.max_pixels}"
            raise DataError(f"{path} has images of {height * width} pixels, {allowed}")
        self._pixels = torch.frombuffer(pixels, dtype=torch.uint8).view(number, 1, height, width)
        self._labels = self._read_labels(number)
        if self._labels:
            self.class_names = tuple(str(label) for label in range(max(self._labels) + 1))

    def _read_labels(self, number: int) -> bytearray | None:
        path = self.path.with_name(self.path.name.replace("images-idx3", "labels-idx1"))
        if path == self.path or not path.is_file():
            return None
        (num_labels,), labels = _read_idx(path, _LABELS_MAGIC, 1)
        if num_labels != number:
            raise DataError(f"{path} has {num_labels} labels for the {number} images beside it")
        return labels

    def __len__(self) -> int:
        return len(self._pixels)

    def key(self, index: int) -> str:
        """Name an image by the file and its number."""
        return f"{self.path.name}[{index}]"

    def read(self, index: int) -> UInt8[Tensor, "c H W"]:
        """Read one image, see `ImageSet.read`."""
        return self._pixels[index].repeat(self.channels, 1, 1)

    def label(self, index: int) -> int | None:
        """Tell the class of an image from the labels beside the file."""
        return None if self._labels is None else self._labels[index]


def is_idx_file(path: Path) -> bool:
    """Tell by its first bytes whether a file is an idx file of bytes.

    Args:
        path: any existing file.

    Returns:
        True for images and for labels, plain or gzipped.
    """
    try:
        with path.open("rb") as raw:
            start = raw.read(4)
        if start.startswith(_GZIP_MAGIC):
            with gzip.open(path) as unpacked:
                start = unpacked.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(start) == 4 and start[:3] == b"\x00\x00\x08"


def _read_idx(path: Path, magic: int, num_axes: int) -> tuple[tuple[int, ...], bytearray]:
    try:
        with path.open("rb") as raw:
            num_file_bytes = path.stat().st_size
            zipped = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            if not zipped:
                return _parse(raw, path, magic, num_axes, num_file_bytes)
            with gzip.GzipFile(fileobj=raw) as file:
                limit = num_file_bytes * _MAX_DEFLATE_RATIO
                return _parse(file, path, magic, num_axes, limit)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}") from error


def _parse(
    file: io.BufferedIOBase, path: Path, magic: int, num_axes: int, limit: int
) -> tuple[tuple[int, ...], bytearray]:
    header = file.read(4 + 4 * num_axes)
    if len(header) < 4 + 4 * num_axes:
        raise DataError(f"{path} is no idx file: it ends inside its header")
    found, *shape = struct.unpack(f">{1 + num_axes}I", header)
    if found != magic:
        kind = "images" if magic == _IMAGES_MAGIC else "labels"
        raise DataError(f"{path} is no idx file of {kind}: it starts with {found}, not {magic}")
    expected = math.prod(shape)
    # Checked before any memory is taken: the header may promise anything.
    if expected > limit:
        raise DataError(f"{path} is damaged: {expected} bytes announced, more than it can hold")
    values = bytearray()
    while chunk := file.read(_CHUNK_BYTES):
        values += chunk
        if len(values) > expected:
            break
    if len(values) != expected:
        more = "more" if len(values) > expected else f"only {len(values)}"
        raise DataError(f"{path} is damaged: {expected} bytes announced, {more} found")
    return tuple(shape), values
