"""A handful of colour photographs for a first try, with nothing to download.

They come inside scikit-image's wheel (no "pooch" is needed); its ``skimage/data/README.txt`` and
``skimage.data`` tell their authors and licences.
"""

import importlib.resources
from importlib.resources.abc import Traversable
from typing import Unpack

from loopyvq.data.base import EncodedImageSet, ReadingOptions
from loopyvq.data.decoding import BrokenImageError
from loopyvq.errors import DataError

__all__ = ["SAMPLE_NAMES", "SampleImages"]

# Left out: drawings, grey images, and motorcycle_right.png, nearly equal to its left twin.
SAMPLE_NAMES = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)


class SampleImages(EncodedImageSet):
    """The seven colour photographs that scikit-image carries, 451 x 300 to 1411 x 1411 pixels.

    Args:
        options: ``channels``, ``strict`` and ``max_pixels``, see `ImageSet`.

    Raises:
        DataError: scikit-image is not installed, or its photographs are not where it keeps them.

    Example:
        >>> samples = SampleImages()
        >>> samples.key(1), tuple(samples.read(1).shape)
        ('chelsea.png', (3, 300, 451))
    """

    def __init__(self, **options: Unpack[ReadingOptions]) -> None:
        super().__init__(**options)
        folder = _data_folder()
        for name in SAMPLE_NAMES:
            if not folder.joinpath(name).is_file():
                raise DataError(
                    f"scikit-image has no {name} in {folder}: pip install 'loopyvq[samples]' -U"
                )

    def __len__(self) -> int:
        return len(SAMPLE_NAMES)

    def key(self, index: int) -> str:
        """Name an image by its file."""
        return SAMPLE_NAMES[index]

    def read_bytes(self, index: int) -> bytes:
        """Read one file, see `EncodedImageSet.read_bytes`."""
        try:
            return _data_folder().joinpath(SAMPLE_NAMES[index]).read_bytes()
        except OSError as error:
            raise BrokenImageError(SAMPLE_NAMES[index], error.strerror or str(error)) from error


def _data_folder() -> Traversable:
    try:
        return importlib.resources.files("skimage").joinpath("data")
    except ModuleNotFoundError as error:
        raise DataError(
            "the samples come with scikit-image, which is not installed:"
            " pip install 'loopyvq[samples]'"
        ) from error
