"""Pillow without its process-wide alarms, while our own checks stand guard."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from PIL import Image

__all__ = ["quiet_pillow"]

_lock = threading.Lock()
_num_inside = 0
_restore = ExitStack()


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silence warnings and Pillow's own limit on pixels inside a ``with`` block.

    Pillow refuses images by a global limit below ours and warns about odd but readable files. Both
    the limit and Python's warning filters belong to the whole process, so with several threads
    the first to enter switches them off and the last to leave restores them.

    Yields:
        Nothing.

    Example:
        >>> with quiet_pillow():
        ...     Image.MAX_IMAGE_PIXELS is None
        True
        >>> Image.MAX_IMAGE_PIXELS is None
        False
    """
    global _num_inside
    with _lock:
        if _num_inside == 0:
            _enter(_restore)
        _num_inside += 1
    try:
        yield
    finally:
        with _lock:
            _num_inside -= 1
            if _num_inside == 0:
                _restore.close()


def _enter(restore: ExitStack) -> None:
    restore.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    restore.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    Image.MAX_IMAGE_PIXELS = None
