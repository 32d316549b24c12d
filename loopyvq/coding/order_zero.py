"""How often each symbol comes in a turn, whatever stands around it: from tables or as learned."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Int, Integer

from loopyvq.coding.frequencies import frequencies_of_weights
from loopyvq.coding.ports import Port
from loopyvq.coding.tables import Tables, table_row

__all__ = ["AdaptiveModel", "Counts", "StaticModel", "growing_blocks"]

# A symbol that comes once adds 16, so that what tables say can weigh less than one.
_COUNT = 16
_PRIOR_COUNT = 256
# Blocks grow with what has been seen, so that there are few however long a sequence is.
_FIRST_BLOCK = 16
_BLOCK_SHARE = 8


class Counts:
    """Learn how often each symbol comes.

    Args:
        alphabet: number of symbols; each starts with half a count.
        prior: weights of each in place of that, which start with `_PRIOR_COUNT` together.
    """

    def __init__(self, alphabet: int, prior: Integer[np.ndarray, " m"] | None = None) -> None:
        self.weights = np.full(alphabet, _COUNT // 2, np.int64)
        if prior is not None:
            wide = prior.astype(np.int64)
            self.weights = 1 + wide * (_COUNT * _PRIOR_COUNT) // wide.sum()

    def learn(self, symbols: Int[np.ndarray, " n"]) -> None:
        """Count symbols.

        Args:
            symbols: what came.
        """
        self.weights += _COUNT * np.bincount(symbols, minlength=len(self.weights))


def growing_blocks(count: int) -> Iterator[slice]:
    """Cut a sequence into blocks that are coded with what was learned before them.

    Args:
        count: length of the sequence.

    Yields:
        Slices of at least 16 items, and an eighth of all that came before.
    """
    start = 0
    while start < count:
        stop = min(count, start + max(_FIRST_BLOCK, start // _BLOCK_SHARE))
        yield slice(start, stop)
        start = stop


def _with_stop(weights: Int[np.ndarray, " m"], stop_share: int) -> Int[np.ndarray, " k"]:
    """Give the frequencies of codes, dummy and stop.

    Args:
        weights: of codes and dummy, below ``2^40`` together.
        stop_share: share of the sites that stop, in units of 1/255.

    Returns:
        Frequencies for the range coder.
    """
    joint = np.append(weights * (255 - stop_share), weights.sum() * stop_share)
    return frequencies_of_weights(joint)


class StaticModel:
    """One table per turn and share of stops, fitted beforehand: the fastest.

    Args:
        tables: as fitted.
    """

    def __init__(self, tables: Tables) -> None:
        self._weights = tables.weights

    def code_turn(
        self, port: Port, active: Bool[np.ndarray, "h w"], turn: int, stop_share: int
    ) -> None:
        """Code a turn's symbols in row-major order; see `TurnModel`."""
        frequencies = _with_stop(
            self._weights[turn, table_row(stop_share)].astype(np.int64), stop_share
        )
        rows, columns = np.nonzero(active)
        port.symbols(rows, columns, frequencies)


class AdaptiveModel:
    """Counts per turn, learned while coding.

    Args:
        codebook_size: number of codes.
        tables: what to start from, if there is anything.
    """

    def __init__(self, codebook_size: int, tables: Tables | None) -> None:
        self._alphabet = codebook_size + 1
        self._tables = tables

    def code_turn(
        self, port: Port, active: Bool[np.ndarray, "h w"], turn: int, stop_share: int
    ) -> None:
        """Code a turn's symbols in row-major order; see `TurnModel`."""
        tables = self._tables
        prior = None if tables is None else tables.weights[turn, table_row(stop_share)]
        counts = Counts(self._alphabet, prior)
        rows, columns = np.nonzero(active)
        for block in growing_blocks(len(rows)):
            frequencies = _with_stop(counts.weights, stop_share)
            symbols = port.symbols(rows[block], columns[block], frequencies)
            counts.learn(symbols[symbols != port.stop])
