"""What a site knows about itself and its neighbours when its next symbol is coded.

Everything is an integer. Of each neighbour the sum counts as far as it is known, which for an
earlier batch includes the turn being coded.
"""

import numpy as np
from jaxtyping import Int, Integer

from loopyvq.coding.features import (
    FEATURE_UNIT,
    INSIDE,
    KNOWN,
    LATEST,
    MARGIN,
    NEIGHBOURS,
    NUM_FACTS,
    codes_to_add,
    facts_of,
    features_of,
)
from loopyvq.coding.order import Batch

__all__ = ["Surroundings"]


class Surroundings:
    """The state of all sites while the turns are coded one after another.

    Args:
        height: rows of sites.
        width: columns of sites.
        codebook: what a code adds before its gain, 4 bits above a feature.
        gains: factor per turn, in units of 1/256.
        neighbours: whether the sites form a grid; if not, each knows itself alone.
    """

    def __init__(
        self,
        height: int,
        width: int,
        codebook: Int[np.ndarray, "k d"],
        gains: Int[np.ndarray, " l"],
        neighbours: bool,
    ) -> None:
        self._codes = codes_to_add(codebook)
        self._gains = gains
        self._d = codebook.shape[1]
        self._neighbours = neighbours
        self._sums = np.zeros((height, width, self._d), np.int64)
        self._latest = np.full((height, width, LATEST), len(codebook))
        outer = (height + 2 * MARGIN, width + 2 * MARGIN, self._d + NUM_FACTS)
        self._facts = np.zeros(outer, np.int16)
        self._inner = self._facts[MARGIN : MARGIN + height, MARGIN : MARGIN + width]
        self._inner[..., self._d + INSIDE] = FEATURE_UNIT

    def start_turn(self) -> None:
        """Forget which sites are known: none of the new turn is."""
        self._inner[..., self._d + KNOWN] = 0

    def features(self, batch: Batch, stop_share: int) -> Int[np.ndarray, "n f"]:
        """Describe where sites stand.

        Args:
            batch: the sites.
            stop_share: share of the turn's sites that stop, ``0..255``.

        Returns:
            Features within ``-2048..2048``, see `num_features`.
        """
        rows, columns = batch.rows + MARGIN, batch.columns + MARGIN
        parts = [
            self._facts[rows + batch.distance * down, columns + batch.distance * right]
            for down, right in NEIGHBOURS
        ]
        if not self._neighbours:
            parts = [np.zeros_like(part) for part in parts]
        latest = self._codes[self._latest[batch.rows, batch.columns]]
        around, own = np.concatenate(parts, axis=1), self._facts[rows, columns]
        return features_of(around, own, latest, stop_share, batch.phase)

    def reveal(self, batch: Batch, symbols: Integer[np.ndarray, " n"], turn: int) -> None:
        """Tell what sites turned out to emit.

        Args:
            batch: the sites.
            symbols: codes, then one number for a dummy and one for a stop.
            turn: 0 or more.
        """
        rows, columns = batch.rows, batch.columns
        sums = self._sums[rows, columns] + self._codes[symbols] * int(self._gains[turn])
        self._sums[rows, columns] = sums
        self._latest[rows, columns, 1:] = self._latest[rows, columns, :-1]
        self._latest[rows, columns, 0] = symbols
        stops = symbols == len(self._codes) - 1
        facts = facts_of(sums, stops, np.where(stops, turn, turn + 1), len(self._gains))
        self._inner[rows, columns] = facts
