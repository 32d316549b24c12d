"""Image files on disk: a folder with everything below it, or a single file."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Unpack

from loopyvq.data.base import EncodedImageSet, ReadingOptions, folder_classes, folder_labels
from loopyvq.data.decoding import BrokenImageError
from loopyvq.errors import DataError

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_FILE_BYTES",
    "FileImages",
    "FolderImages",
    "SingleImage",
    "is_image_name",
]

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".tif", ".tiff"),
    *(".bmp", ".gif", ".ppm", ".pgm", ".pnm", ".pbm"),
)
MAX_FILE_BYTES = 2**30


def is_image_name(name: str) -> bool:
    """Tell whether a path looks like an image of the user's.

    Args:
        name: relative path with forward slashes.

    Returns:
        True for a known suffix in either case, unless the file or a folder above it is hidden
        (".cache") or is what macOS adds to archives ("__MACOSX", "._cat.jpg").

    Example:
        >>> [is_image_name(n) for n in ("a/b.PNG", "a/b.txt", "__MACOSX/a/._b.png")]
        [True, False, False]
    """
    path = PurePosixPath(name)
    hidden = any(part == "__MACOSX" or part[0] == "." for part in path.parts if part != ".")
    return path.suffix.lower() in IMAGE_SUFFIXES and not hidden


class FileImages(EncodedImageSet):
    """Image files named one by one.

    Args:
        root: the folder that relative names start from.
        names: paths of the files, also their keys. A missing file is a broken image.
        options: ``channels``, ``strict`` and ``max_pixels``, see `ImageSet`.
    """

    def __init__(
        self, root: str | Path, names: Sequence[str], **options: Unpack[ReadingOptions]
    ) -> None:
        super().__init__(**options)
        self.root = Path(root)
        self.names = tuple(names)

    def __len__(self) -> int:
        return len(self.names)

    def key(self, index: int) -> str:
        """Name an image by its path, relative to the root."""
        return self.names[index]

    def read_bytes(self, index: int) -> bytes:
        """Read one file, see `EncodedImageSet.read_bytes`."""
        name = self.names[index]
        path = self.root / name
        try:
            if not path.is_file():  # also keeps us from waiting for a pipe
                raise BrokenImageError(name, f"there is no file {path}")
            num_bytes = path.stat().st_size
            if num_bytes > MAX_FILE_BYTES:
                reason = f"it has {num_bytes} bytes, more than the allowed {MAX_FILE_BYTES}"
                raise BrokenImageError(name, reason)
            return path.read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
            reason = getattr(error, "strerror", None) or str(error)
            raise BrokenImageError(name, reason) from error


class SingleImage(FileImages):
    """One image file as a set of one.

    Args:
        path: the file.
        options: ``channels``, ``strict`` and ``max_pixels``, see `ImageSet`.
    """

    def __init__(self, path: str | Path, **options: Unpack[ReadingOptions]) -> None:
        path = Path(path)
        super().__init__(path.parent, [path.name], **options)


class FolderImages(FileImages):
    """All images in a folder and the folders below it, sorted by path.

    Files are chosen by their suffix (`is_image_name`). Labels come from the folders' names, see
    `folder_labels`.

    Args:
        root: the folder; links to other folders are followed.
        options: ``channels``, ``strict`` and ``max_pixels``, see `ImageSet`.

    Raises:
        DataError: the folder is missing, cannot be listed, or holds no images.
    """

    def __init__(self, root: str | Path, **options: Unpack[ReadingOptions]) -> None:
        names = _image_names(Path(root))
        super().__init__(root, names, **options)
        self._labels = folder_labels(names)
        self.class_names = folder_classes(names)

    def label(self, index: int) -> int | None:
        """Tell the class of an image by its folder's name."""
        return self._labels[index]


def _image_names(root: Path) -> list[str]:
    def refuse(error: OSError) -> None:
        raise DataError(f"cannot list the folder {error.filename}: {error.strerror}") from error

    names, visited = [], set()
    for folder, folders_below, files in os.walk(root, followlinks=True, onerror=refuse):
        real = os.path.realpath(folder)
        if real in visited:  # a link back up would go round for ever
            folders_below.clear()
            continue
        visited.add(real)
        folders_below.sort()
        below = Path(folder).relative_to(root)
        names += [(below / file).as_posix() for file in files]
    names = sorted(name for name in names if is_image_name(name))
    if not names:
        suffixes = " ".join(IMAGE_SUFFIXES)
        raise DataError(f"the folder {root} holds no images: put files with {suffixes} there")
    return names
