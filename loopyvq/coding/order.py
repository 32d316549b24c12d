"""In which order the sites of one turn are coded: coarse grids first, and many sites at once.

So most sites lie between known ones, and the work can be done in arrays.

The first turn starts from a grid of every 8th site and halves the distance three times; a later
turn, whose sites know all neighbours up to the turn before, starts from every 2nd.
Each halving visits the centres of the squares, then the middles of their sides:

    0 . 3 . 0        phase 0   the coarse grid
    . 1 . 1 .        phase 1   the centres
    3 . 3 . 3   ->   phase 2   left and right of the grid
    . 1 . 1 .        phase 3   above and below    (numbers of the last halving)
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

__all__ = ["NUM_PHASES", "Batch", "batches_of"]

_FIRST_STRIDE = 8
_LATER_STRIDE = 2
# Small enough for scores of all symbols to stay in the cache.
_BATCH_SIZE = 128
# One for the coarsest grid and three per halving, of which the first turn has three.
NUM_PHASES = 10


class Batch(NamedTuple):
    """Sites that are coded together, none of which is a neighbour of another.

    Attributes:
        rows: of the sites.
        columns: of the sites.
        phase: which pass over the grid, ``0..9``.
        distance: how far the neighbours are that matter most.
    """

    rows: Int[np.ndarray, " n"]
    columns: Int[np.ndarray, " n"]
    phase: int
    distance: int


def batches_of(active: Bool[np.ndarray, "h w"], turn: int) -> Iterator[Batch]:
    """List the sites that are still going, batch by batch.

    Args:
        active: the sites to visit.
        turn: 0 or more.

    Yields:
        Batches of at most 128 sites; every active site is in one of them, in row-major order
        within its phase.
    """
    for phase, (offset_row, offset_column, stride, distance) in enumerate(_phases(turn)):
        rows, columns = np.nonzero(active[offset_row::stride, offset_column::stride])
        rows, columns = rows * stride + offset_row, columns * stride + offset_column
        for start in range(0, len(rows), _BATCH_SIZE):
            part = slice(start, start + _BATCH_SIZE)
            yield Batch(rows[part], columns[part], phase, distance)


def _phases(turn: int) -> list[tuple[int, int, int, int]]:
    """Give first row, first column, stride and distance of the neighbours for each phase."""
    stride = _FIRST_STRIDE if turn == 0 else _LATER_STRIDE
    phases = [(0, 0, stride, stride if turn == 0 else 1)]
    while stride > 1:
        half = stride // 2
        phases += [(half, half, stride, half), (0, half, stride, half), (half, 0, stride, half)]
        stride = half
    return phases
