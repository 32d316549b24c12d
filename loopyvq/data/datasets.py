"""The door to all image sets: what a path is decides how it is read."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from loopyvq.data.archive import TarImages, ZipImages
from loopyvq.data.base import ImageSet
from loopyvq.data.decoding import MAX_PIXELS
from loopyvq.data.folder import IMAGE_SUFFIXES, FolderImages, SingleImage
from loopyvq.data.idx import IdxImages, is_idx_file
from loopyvq.data.listing import ListedImages
from loopyvq.data.samples import SampleImages
from loopyvq.errors import DataError

__all__ = ["DATASETS", "open_image_set"]

DATASETS: Final[dict[str, Callable[..., ImageSet]]] = {
    "folder": FolderImages,
    "image": SingleImage,
    "list": ListedImages,
    "zip": ZipImages,
    "tar": TarImages,
    "idx": IdxImages,
    "samples": SampleImages,
}

_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


def open_image_set(
    source: str | Path,
    *,
    channels: int = 3,
    strict: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> ImageSet:
    """Open images wherever they are.

    Args:
        source: the word "samples" (for a folder of that name write "./samples"), or the path of a
            folder, a .zip or .tar[.gz|.bz2|.xz] archive, a folder or image in such an archive
            ("photos.zip/train/cat"), an idx file (plain or gzipped), a .txt file with one path per
            line, or a single image.
        channels: 3 for RGB, 1 for grey.
        strict: raise at the first broken image instead of skipping, logging and counting it.
        max_pixels: most pixels of an image, at least 1; larger ones are broken.

    Returns:
        The image set, never empty.

    Raises:
        DataError: the path is missing, is none of these, is damaged, or holds no images.
        ValueError: ``channels`` is neither 1 nor 3 or ``max_pixels`` is below 1.

    Example:
        >>> len(open_image_set("samples"))
        7
    """
    if source == "samples":
        return SampleImages(channels=channels, strict=strict, max_pixels=max_pixels)
    path, inside = _into_archive(Path(source))
    opener = DATASETS[_kind(path)]
    options = {"inside": inside} if inside else {}
    return opener(path, channels=channels, strict=strict, max_pixels=max_pixels, **options)


def _into_archive(path: Path) -> tuple[Path, str]:
    """Divide a path that goes on inside an archive."""
    for above in path.parents:
        if above.name.lower().endswith((".zip", *_TAR_SUFFIXES)) and _is_file(above):
            return above, path.relative_to(above).as_posix()
    return path, ""


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # no right to look: said where the path itself is looked at
        return False


def _kind(path: Path) -> str:
    name = path.name.lower()
    try:
        exists, is_folder, is_file = path.exists(), path.is_dir(), path.is_file()
    except (OSError, ValueError) as error:  # no right to look, or a NUL character
        raise DataError(f"cannot open {str(path)!r}: {error}") from error
    if not exists:
        hint = "check the path, or use the word 'samples' for a few photographs"
        raise DataError(f"there is no file or folder {path}: {hint}")
    if is_folder:
        return "folder"
    if is_file:
        if name.endswith(".zip"):
            return "zip"
        if name.endswith(_TAR_SUFFIXES):
            return "tar"
        if name.endswith(".txt"):
            return "list"
        if path.suffix.lower() in IMAGE_SUFFIXES:
            return "image"
        if is_idx_file(path):
            return "idx"
    raise DataError(
        f"cannot tell what {path} is: expected a folder, a .zip or .tar archive, an idx file,"
        " a .txt list, or an image"
    )
