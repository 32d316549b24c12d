"""Ctrl-C that waits for the end of a step, so that what is saved is whole."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

__all__ = ["PatientInterrupt"]


class PatientInterrupt:
    """Note the first Ctrl-C inside a ``with`` block; let the second one through.

    An interrupt in the middle of a step would leave new weights beside an old step count, and a
    resumed run would no longer be the one that was never stopped. Outside of the main thread,
    where Python does not allow it, nothing is changed.

    Attributes:
        requested: whether the user has asked to stop.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None

    def __enter__(self) -> "PatientInterrupt":
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
