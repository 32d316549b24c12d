"""What a site knows about itself and its neighbours when its next symbol is coded.

Everything is an integer. A site's *sum* is what its codes so far add up to; of each neighbour the
sum counts as far as it is known, which for an earlier batch includes the turn being coded.
"""

import numpy as np
from jaxtyping import Int, Integer

from loopyvq.coding.order import NUM_PHASES, Batch

__all__ = ["FEATURE_UNIT", "LARGEST_FEATURE", "Surroundings", "num_features"]

# One in the integers that the network sees.
FEATURE_UNIT = 64
LARGEST_FEATURE = 2048
# Sums have this many more bits than features.
_SUM_SHIFT = 12
_LARGEST_COORDINATE = 511
_MARGIN = 8
_NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
# Of a site, after the width of its sum: length of it, inside, known, stopped, number of tokens.
_FACTS = 5
_SHARE_FEATURES = 3
# Of its own, a site also sees its latest codes themselves, before their gains made them small.
_LATEST = 2
_CODE_SHIFT = 4


def num_features(width: int) -> int:
    """Count the features of a site.

    Args:
        width: of the sums.

    Returns:
        Features: of eight neighbours, the site itself, the share that stops and the phase.
    """
    own = (1 + _LATEST) * width + 1
    return len(_NEIGHBOURS) * (width + _FACTS) + own + _SHARE_FEATURES + NUM_PHASES


class Surroundings:
    """The state of all sites while the turns are coded one after another.

    Args:
        height: rows of sites.
        width: columns of sites.
        codebook: what a code adds before its gain, `_SUM_SHIFT` - 8 bits above a feature.
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
        # A dummy and a stop add nothing.
        self._codes = np.vstack([codebook, np.zeros((2, codebook.shape[1]))]).astype(np.int64)
        self._gains = gains
        self._d = codebook.shape[1]
        self._neighbours = neighbours
        self._sums = np.zeros((height, width, self._d), np.int64)
        self._latest = np.full((height, width, _LATEST), len(codebook))
        outer = (height + 2 * _MARGIN, width + 2 * _MARGIN, self._d + _FACTS)
        self._facts = np.zeros(outer, np.int16)
        self._inner = self._facts[_MARGIN : _MARGIN + height, _MARGIN : _MARGIN + width]
        self._inner[..., self._d + 1] = FEATURE_UNIT

    def start_turn(self) -> None:
        """Forget which sites are known: none of the new turn is."""
        self._inner[..., self._d + 2] = 0

    def features(self, batch: Batch, stop_share: int) -> Int[np.ndarray, "n f"]:
        """Describe where sites stand.

        Args:
            batch: the sites.
            stop_share: share of the turn's sites that stop, ``0..255``.

        Returns:
            Features within ``-2048..2048``, see `num_features`.
        """
        rows, columns = batch.rows + _MARGIN, batch.columns + _MARGIN
        parts = [
            self._facts[rows + batch.distance * down, columns + batch.distance * right]
            for down, right in _NEIGHBOURS
        ]
        if not self._neighbours:
            parts = [np.zeros_like(part) for part in parts]
        parts += [self._facts[rows, columns, : self._d + 1]]
        latest = self._codes[self._latest[batch.rows, batch.columns]] >> _CODE_SHIFT
        parts += [latest.reshape(len(rows), _LATEST * self._d).astype(np.int16)]
        common = np.zeros((len(rows), _SHARE_FEATURES + NUM_PHASES), np.int16)
        common[:, :_SHARE_FEATURES] = _describe_share(stop_share)
        common[:, _SHARE_FEATURES + batch.phase] = FEATURE_UNIT
        return np.concatenate([*parts, common], axis=1)

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
        vectors = np.clip(sums >> _SUM_SHIFT, -_LARGEST_COORDINATE, _LARGEST_COORDINATE)
        # Below 2^52 a rounded-down square root of float64 is exact.
        norms = np.sqrt((vectors**2).sum(axis=1).astype(np.float64)).astype(np.int64) >> 1
        stops = symbols == len(self._codes) - 1
        so_far = FEATURE_UNIT * (turn + 1) // len(self._gains)
        facts = self._inner[rows, columns]
        facts[:, : self._d] = vectors
        facts[:, self._d] = norms
        facts[:, self._d + 2] = FEATURE_UNIT
        facts[:, self._d + 3] = np.where(stops, FEATURE_UNIT, 0)
        facts[:, self._d + 4] = np.where(stops, facts[:, self._d + 4], so_far)
        self._inner[rows, columns] = facts


def _describe_share(stop_share: int) -> tuple[int, int, int]:
    """Give a share, and 16 times the logarithms of it and of the rest, rounded down."""
    stops, rest = stop_share + 1, 256 - stop_share
    return stop_share // 4, (stops**16).bit_length() - 1, (rest**16).bit_length() - 1
