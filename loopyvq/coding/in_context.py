"""Symbols in the context of what is known around them: with a fitted network, or learned."""

from itertools import product

import numpy as np
from jaxtyping import Bool, Int

from loopyvq.coding.frequencies import frequencies_of_weights, weights_of_scores
from loopyvq.coding.order import Batch, batches_of
from loopyvq.coding.order_zero import Counts
from loopyvq.coding.ports import Port
from loopyvq.coding.surroundings import Surroundings
from loopyvq.coding.tables import Tables

__all__ = ["LearningContextModel", "NetworkModel"]

# How often a symbol came and should have come is compared in units of 1/4096 symbols, and three
# are added to both, so that one surprise does not decide.
_RATIO_BITS = 12
_HEAD_START = 3 << _RATIO_BITS
_LARGEST_RATIO = 1 << 20


class NetworkModel:
    """A fitted network looks at the surroundings; the image corrects it as it goes.

    Within a turn each symbol's weight is multiplied with the ratio of how often it has come and
    how often the network alone would have expected it.

    Args:
        tables: as fitted.
        shape: rows and columns of sites.
        neighbours: whether the sites form a grid.
    """

    def __init__(self, tables: Tables, shape: tuple[int, int], neighbours: bool) -> None:
        self._networks = tables.networks
        self._around = Surroundings(*shape, tables.codebook, tables.gains, neighbours)

    def code_turn(
        self, port: Port, active: Bool[np.ndarray, "h w"], turn: int, stop_share: int
    ) -> None:
        """Code a turn's symbols, coarse grids first; see `TurnModel`."""
        self._around.start_turn()
        came = np.zeros(port.stop + 1, np.int64)
        expected = np.zeros(port.stop + 1, np.int64)
        for batch in batches_of(active, turn):
            scores = self._networks[turn].scores(self._around.features(batch, stop_share))
            ratio = ((came + _HEAD_START) << _RATIO_BITS) // (expected + _HEAD_START)
            ratio = np.clip(ratio, 1, _LARGEST_RATIO)
            weights = weights_of_scores(scores)
            weights *= ratio
            weights >>= _RATIO_BITS
            frequencies = frequencies_of_weights(weights)
            symbols = port.symbols(batch.rows, batch.columns, frequencies)
            self._around.reveal(batch, symbols, turn)
            came += np.bincount(symbols, minlength=len(came)) << _RATIO_BITS
            expected += frequencies.sum(axis=0) // ratio


class LearningContextModel:
    """Learn in the image itself when sites stop, given how many neighbours did, and which codes.

    Args:
        codebook_size: number of codes.
        neighbours: whether the sites form a grid.
    """

    def __init__(self, codebook_size: int, neighbours: bool) -> None:
        self._alphabet = codebook_size + 1
        self._neighbours = neighbours

    def code_turn(
        self, port: Port, active: Bool[np.ndarray, "h w"], turn: int, stop_share: int
    ) -> None:
        """Code a turn's symbols, coarse grids first; see `TurnModel`."""
        counts = Counts(self._alphabet)
        stops_seen = _StopContexts(active, stop_share, self._neighbours)
        for batch in batches_of(active, turn):
            stops = port.stops(batch.rows, batch.columns, stops_seen.frequencies(batch))
            stops_seen.learn(batch, stops)
            going = stops == 0
            rows, columns = batch.rows[going], batch.columns[going]
            frequencies = frequencies_of_weights(counts.weights)
            counts.learn(port.symbols(rows, columns, frequencies))


class _StopContexts:
    """Counts of stops, by how many neighbours are known to have stopped and to go on."""

    def __init__(self, active: Bool[np.ndarray, "h w"], stop_share: int, neighbours: bool) -> None:
        # 0 unknown, 1 stopped, 9 going on: the sum over eight neighbours is a context.
        self._known = np.zeros((active.shape[0] + 16, active.shape[1] + 16), np.int64)
        self._inner = self._known[8:-8, 8:-8]
        self._inner[~active] = 1
        self._neighbours = neighbours
        start = np.array([255 - stop_share, stop_share]) * 2 // 255 + 1
        self._counts = np.tile(start, (81, 1))

    def frequencies(self, batch: Batch) -> Int[np.ndarray, "n 2"]:
        """Say how likely each site of a batch stops."""
        return frequencies_of_weights(self._counts)[self._contexts(batch)]

    def learn(self, batch: Batch, stops: Int[np.ndarray, " n"]) -> None:
        """Count what a batch did and let its neighbours know."""
        pairs = self._contexts(batch) * 2 + stops
        self._counts += 2 * np.bincount(pairs, minlength=162).reshape(81, 2)
        self._inner[batch.rows, batch.columns] = np.where(stops == 1, 1, 9)

    def _contexts(self, batch: Batch) -> Int[np.ndarray, " n"]:
        contexts = np.zeros(len(batch.rows), np.int64)
        steps = (-batch.distance, 0, batch.distance)
        for down, right in product(steps, steps):
            if self._neighbours and (down or right):
                contexts += self._known[batch.rows + 8 + down, batch.columns + 8 + right]
        return contexts
