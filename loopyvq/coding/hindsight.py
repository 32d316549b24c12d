"""What sites see of their neighbours in every turn, once all have their tokens.

An encoder that chooses a site's tokens anew knows what those around it will be coded as, before it
and after it; and in which context the site itself will be coded, turn by turn.
"""

import numpy as np
from jaxtyping import Int, Int16, Integer

from loopyvq.coding.features import (
    FEATURE_UNIT,
    INSIDE,
    KNOWN,
    MARGIN,
    NEIGHBOURS,
    NUM_FACTS,
    codes_to_add,
    facts_of,
)
from loopyvq.coding.order import batches_of

__all__ = ["Hindsight"]


class Hindsight:
    """The facts of all sites after each turn, on a grid.

    Args:
        codebook: what a code adds before its gain, 4 bits above a feature.
        gains: factor per turn, in units of 1/256.
        symbols: of every site and turn to be looked at: codes, then one number for a dummy and one
            for a stop; what comes behind a stop does not matter.
        lengths: tokens per site, at most as many as turns.
    """

    def __init__(
        self,
        codebook: Int[np.ndarray, "k d"],
        gains: Int[np.ndarray, " l"],
        symbols: Integer[np.ndarray, "h w t"],
        lengths: Integer[np.ndarray, "h w"],
    ) -> None:
        height, width, self._num_turns = symbols.shape
        self._codes, self._gains, self._d = codes_to_add(codebook), gains, codebook.shape[1]
        # Slice 0 is before the first turn.
        outer = (height + 2 * MARGIN, width + 2 * MARGIN)
        self._facts = np.zeros((self._num_turns + 1, *outer, self._d + NUM_FACTS), np.int16)
        inner = slice(MARGIN, MARGIN + height), slice(MARGIN, MARGIN + width)
        self._facts[:, *inner, self._d + INSIDE] = FEATURE_UNIT
        # When a site is coded, in the first turn and in later ones, and what it then looks at.
        self._ranks = np.zeros((2, *outer), np.int64)
        self._phases, self._distances = np.zeros((2, 2, height, width), np.int64)
        for turn in (0, 1):
            all_sites = np.ones((height, width), np.bool_)
            for rank, batch in enumerate(batches_of(all_sites, turn)):
                where = batch.rows, batch.columns
                self._ranks[turn, *inner][where] = rank
                self._phases[turn][where] = batch.phase
                self._distances[turn][where] = batch.distance
        rows, columns = np.indices((height, width)).reshape(2, -1)
        self.replace(rows, columns, symbols, lengths)

    def phases(
        self, rows: Int[np.ndarray, " n"], columns: Int[np.ndarray, " n"], turn: int
    ) -> Int[np.ndarray, " n"]:
        """Tell in which pass over the grid sites are coded.

        Args:
            rows: of the sites.
            columns: of the sites.
            turn: 0 or more.

        Returns:
            Their phases.
        """
        return self._phases[min(turn, 1), rows, columns]

    def together(self, phase: int) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Find the sites that go together in every turn.

        Args:
            phase: which pass over the grid, in the first turn.

        Returns:
            Rows and columns; but for the coarsest grid in the first turn none sees another.
        """
        rows, columns = np.nonzero(self._phases[0] == phase)
        return rows, columns

    def around(
        self, rows: Int[np.ndarray, " n"], columns: Int[np.ndarray, " n"], turn: int
    ) -> Int16[np.ndarray, "n a"]:
        """Tell what sites see of their neighbours when their symbol of a turn is coded.

        Args:
            rows: of the sites.
            columns: of the sites.
            turn: 0 or more.

        Returns:
            The facts of all eight: those of this turn where the neighbour comes first.
        """
        kind = min(turn, 1)
        steps = self._distances[kind, rows, columns, np.newaxis, np.newaxis] * NEIGHBOURS
        where = (
            rows[:, np.newaxis] + MARGIN + steps[..., 0],
            columns[:, np.newaxis] + MARGIN + steps[..., 1],
        )
        before = self._facts[turn][where]
        before[..., self._d + KNOWN] = 0
        ranks = self._ranks[kind]
        is_first = ranks[where] < ranks[rows + MARGIN, columns + MARGIN][:, np.newaxis]
        facts = np.where(is_first[..., np.newaxis], self._facts[turn + 1][where], before)
        return facts.reshape(len(rows), -1)

    def own(
        self, rows: Int[np.ndarray, " n"], columns: Int[np.ndarray, " n"], turn: int
    ) -> Int16[np.ndarray, "n f"]:
        """Tell what sites know of themselves before their symbol of a turn is coded.

        Args:
            rows: of the sites.
            columns: of the sites.
            turn: 0 or more.

        Returns:
            Their facts.
        """
        return self._facts[turn, rows + MARGIN, columns + MARGIN]

    def replace(
        self,
        rows: Int[np.ndarray, " n"],
        columns: Int[np.ndarray, " n"],
        symbols: Integer[np.ndarray, "*n t"],
        lengths: Integer[np.ndarray, "*n"],
    ) -> None:
        """Give some sites other tokens.

        Args:
            rows: of the sites.
            columns: of the sites.
            symbols: of all turns.
            lengths: tokens per site.
        """
        symbols, lengths = symbols.reshape(-1, self._num_turns), lengths.reshape(-1)
        where = rows + MARGIN, columns + MARGIN
        sums = np.zeros((len(rows), self._d), np.int64)
        for turn in range(self._num_turns):
            going = lengths > turn
            added = self._codes[np.where(going, symbols[:, turn], -1)] * int(self._gains[turn])
            sums += added
            tokens = np.minimum(lengths, turn + 1)
            facts = facts_of(sums, ~going, tokens, len(self._gains))
            # Of a site that stopped in an earlier turn nothing is said in this one.
            facts[lengths < turn, self._d + KNOWN] = 0
            self._facts[turn + 1][where] = facts
