"""A text file that lists images, one path per line.

# my evaluation set
photos/cat.jpg
/data/dog.png
"""

from pathlib import Path
from typing import Unpack

from loopyvq.data.base import ReadingOptions, folder_classes, folder_labels
from loopyvq.data.folder import FileImages
from loopyvq.errors import DataError

__all__ = ["ListedImages"]


class ListedImages(FileImages):
    """The images that a text file lists, in its order; labels come from the folders' names.

    Paths are relative to the folder of the text file, or absolute. Blank lines and lines that start
    with ``#`` are left out. A missing file is a broken image, met when it is read.

    Args:
        path: the text file, UTF-8.
        options: ``channels``, ``strict`` and ``max_pixels``, see `ImageSet`.

    Raises:
        DataError: the text file is missing, is no UTF-8 text, or lists nothing.
    """

    def __init__(self, path: str | Path, **options: Unpack[ReadingOptions]) -> None:
        path = Path(path)
        names = _read_names(path)
        super().__init__(path.parent, names, **options)
        self._labels = folder_labels(names)
        self.class_names = folder_classes(names)

    def label(self, index: int) -> int | None:
        """Tell the class of an image by its folder's name."""
        return self._labels[index]


def _read_names(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot read the list {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"the list {path} is no UTF-8 text: byte {error.start}") from error
    lines = [line.strip() for line in text.split("\n")]
    names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise DataError(f"the list {path} names no images: write one path per line")
    return names
