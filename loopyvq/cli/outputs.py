"""Where commands put what they make, and how they share work among processes."""

import argparse
import io
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Outputs",
    "add_jobs",
    "add_overwrite",
    "in_jobs",
    "output_path",
    "png_of",
    "spare_original",
    "write_image",
]

ItemT = TypeVar("ItemT")
MadeT = TypeVar("MadeT")

_AHEAD = 2


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Let a command work in several processes."""
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="processes to work in (default: 1)"
    )


def output_path(folder: str | Path, key: str, suffix: str) -> Path:
    """Name an output inside a folder, never outside of it.

    Args:
        folder: where outputs go.
        key: path or name of the input.
        suffix: appended to the name.

    Returns:
        The path, with the input's folders.

    Example:
        >>> output_path("out", "../cats/1.png", ".lvq").as_posix()
        'out/cats/1.png.lvq'
    """
    parts = [part for part in PurePosixPath(key).parts if part not in ("/", "..", ".")]
    return Path(folder).joinpath(*parts[:-1], f"{parts[-1] if parts else 'image'}{suffix}")


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Let a command write over what may be an original."""
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="write over files that are links or lie beside those that are read, perhaps the "
        "originals",
    )


def spare_original(path: Path, source: Path, overwrite: bool) -> None:
    """Refuse to write over a file that may be what another one was made of.

    Args:
        path: where to write to.
        source: what is read.
        overwrite: whether that is meant.

    Raises:
        ConfigError: there is a file, and it lies beside the source or is reached by a link.
    """
    from loopyvq.errors import ConfigError

    beside = path.resolve().parent == source.resolve().parent
    if (beside or path.is_symlink()) and path.is_file() and not overwrite:
        where = f"lies beside {source}" if beside else f"is a link to {path.resolve()}"
        raise ConfigError(
            f"{path} {where}, perhaps it is the original: choose another --out, or say --overwrite"
        )


def png_of(image: "Tensor") -> bytes:
    """Give an image, ``c H W`` of 8-bit pixels, as a PNG file."""
    from loopyvq.data import to_pil

    stream = io.BytesIO()
    to_pil(image).save(stream, "PNG")
    return stream.getvalue()


def write_image(path: Path, image: "Tensor") -> None:
    """Write an image as PNG, whole or not at all.

    Args:
        path: where to; its folder is made.
        image: 8-bit pixels, ``c H W``.

    Raises:
        CheckpointError: the file cannot be written.
    """
    from loopyvq.tensor_file import write_atomically

    write_atomically(path, png_of(image))


class Outputs:
    """Names for the outputs of one call, each given once.

    Args:
        folder: where outputs go.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = folder
        self._taken: set[Path] = set()

    def path(self, key: str, suffix: str) -> Path:
        """Name an output, see `output_path`.

        Args:
            key: path or name of the input.
            suffix: appended to the name.

        Returns:
            The path.

        Raises:
            ConfigError: another input has it already.
        """
        from loopyvq.errors import ConfigError

        path = output_path(self._folder, key, suffix)
        if path in self._taken:
            raise ConfigError(f"two inputs would become {path}: give each an --out of its own")
        self._taken.add(path)
        return path


def in_jobs(
    work: Callable[[ItemT], MadeT], items: Iterable[ItemT], jobs: int
) -> Iterator[tuple[ItemT, MadeT]]:
    """Do the same work on many items, in order, a few ahead of what is asked for.

    Args:
        work: what to do; for several processes it and the items must be picklable.
        items: taken one by one.
        jobs: processes; 1 works in this one.

    Yields:
        Items and what was made of them.

    Raises:
        ConfigError: there are no jobs.
    """
    from loopyvq.errors import ConfigError

    if jobs < 1:
        raise ConfigError(f"--jobs must be at least 1, got {jobs}")
    if jobs == 1:
        for item in items:
            yield item, work(item)
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _begin_work, (threads,)) as pool:
        waiting: deque[tuple[ItemT, Future[MadeT]]] = deque()
        try:
            for item in items:
                waiting.append((item, pool.submit(work, item)))
                if len(waiting) > _AHEAD * jobs:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin_work(threads: int) -> None:
    import torch

    # Ctrl-C reaches every process: whoever waits for this one should not wait for its work.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    torch.set_num_threads(threads)
