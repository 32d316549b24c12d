"""What commands on compressed files read: files, arrays, codebooks and models."""

import argparse
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from loopyvq.codec import Codec
    from loopyvq.codec.vector_codebook import VectorCodebook
    from loopyvq.data import ImageSet

__all__ = [
    "add_limits",
    "input_files",
    "open_codec",
    "open_pixels",
    "read_array",
    "read_codes",
    "read_file",
]

MAX_PIXELS = 1 << 26
MAX_TOKENS = 1 << 24


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Let a command say how large a stranger's file may be."""
    parser.add_argument(
        "--max-pixels",
        type=int,
        default=MAX_PIXELS,
        metavar="N",
        help="refuse larger images and arrays (default: %(default)s)",
    )
    parser.add_argument(
        "--max-tokens",
        type=int,
        default=MAX_TOKENS,
        metavar="N",
        help="refuse files with room for more (default: %(default)s)",
    )


def input_files(names: Sequence[str], suffix: str) -> list[tuple[Path, str]]:
    """List files with their names below the folders that were given.

    Args:
        names: files, or folders of them.
        suffix: of the files in folders.

    Returns:
        Paths, and the names that outputs get.

    Raises:
        DataError: a path is missing, or a folder holds no such files.
    """
    from loopyvq.errors import DataError

    found = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            files = sorted(path.rglob(f"*{suffix}"))
            if not files:
                raise DataError(f"there are no {suffix} files in {path}")
            found += [(file, file.relative_to(path).as_posix()) for file in files]
        elif path.is_file():
            found.append((path, path.name))
        else:
            raise DataError(f"there is no file {path}")
    return found


def read_file(path: Path) -> bytes:
    """Read a file whole.

    Args:
        path: the file.

    Returns:
        Its bytes.

    Raises:
        BitstreamError: it cannot be read.
    """
    from loopyvq.errors import BitstreamError

    try:
        return path.read_bytes()
    except OSError as error:
        raise BitstreamError(f"cannot read {path}: {error.strerror}") from error


def open_codec(
    model: str, device: str, max_pixels: int = MAX_PIXELS, max_tokens: int = MAX_TOKENS
) -> "Codec":
    """Load a model, once per process as long as its file stays the same.

    Args:
        model: path of the tokenizer.
        device: where to run it.
        max_pixels: of an image.
        max_tokens: of an image.

    Returns:
        The codec.

    Raises:
        CheckpointError: the model cannot be read.
    """
    from loopyvq.checkpoint import tokenizer_file

    file = tokenizer_file(model)
    changed_ns = file.stat().st_mtime_ns if file.is_file() else 0
    return _load(file, device, (max_pixels, max_tokens), changed_ns)


@cache
def _load(file: Path, device: str, limits: tuple[int, int], changed_ns: int) -> "Codec":
    from loopyvq.codec import Codec, ReadingLimits

    return Codec.load(file, device, ReadingLimits(*limits))


def open_pixels(
    data: str, model: str | Path, channels: int, *, depth: bool, strict: bool
) -> "ImageSet":
    """Open what a tokenizer takes: images, or depth maps.

    Args:
        data: where they are.
        model: path of the tokenizer, for the message.
        channels: how many it takes.
        depth: whether these are depth maps.
        strict: stop at the first broken one.

    Returns:
        The image set.

    Raises:
        ConfigError: depth maps have other channels.
        DataError: there are no images.
    """
    from loopyvq.data import open_depth_maps, open_image_set
    from loopyvq.errors import ConfigError

    if not depth:
        return open_image_set(data, channels=channels, strict=strict)
    if channels != 1:
        raise ConfigError(f"depth maps have one channel, {model} takes {channels}")
    return open_depth_maps(data, strict=strict)


def read_array(path: str | Path) -> "np.ndarray":
    """Read a .npy file.

    Args:
        path: the file.

    Returns:
        The array.

    Raises:
        DataError: it is missing or damaged, or holds objects.
    """
    import numpy as np

    from loopyvq.errors import DataError

    try:
        with Path(path).open("rb") as file:
            array = np.load(file, allow_pickle=False)
    except Exception as error:  # a damaged file may raise anything, such as BadZipFile
        raise DataError(f"cannot read the array {path}: {error}") from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path} holds several arrays: give a .npy file of one")
    return array


def read_codes(path: str | None) -> "VectorCodebook | None":
    """Read a codebook that is given as a .npy file, if one is."""
    from loopyvq.codec import codebook_of
    from loopyvq.errors import ConfigError

    if path is None:
        return None
    codes = read_array(path)
    if codes.dtype.kind != "f":
        raise ConfigError(f"a codebook must hold floats, {path} holds {codes.dtype}")
    return codebook_of(codes)
