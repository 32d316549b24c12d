"""Which draws a process reads, and how the processes that read for it take Ctrl-C."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["DrawNumbers", "leave_interrupts"]


@dataclass(frozen=True)
class DrawNumbers:
    """The numbers of the draws of every pass, as far as one process reads them.

    Attributes:
        passes: their numbers.
        size: draws of a pass and process.
        ranks: number of processes.
        rank: which this one is.

    Example:
        >>> list(DrawNumbers(range(2), size=2, ranks=2, rank=1))
        [[2, 3], [6, 7]]
    """

    passes: range
    size: int
    ranks: int
    rank: int

    def __iter__(self) -> Iterator[list[int]]:
        for number in self.passes:
            first = (number * self.ranks + self.rank) * self.size
            yield list(range(first, first + self.size))

    def __len__(self) -> int:
        return len(self.passes)


def leave_interrupts(worker: int) -> None:
    """Ctrl-C reaches every process: those that read go on until the training is done with them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
