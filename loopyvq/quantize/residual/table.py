"""What a shared codebook lets one compute ahead: its Gram matrix, and how far scores may be off.

With the codes centred, ``ê_j = e_j - c``, and the residual centred to match, ``r̂ = r - g c``, the
code nearest to ``r`` at gain ``g`` is the one with the least *score*

    u_j = g |ê_j|²/2 - r̂·ê_j            as |r - g e_j|² = |r̂|² + 2 g u_j

and after emitting ``k`` at gain ``g``, the scores of the next turn, at gain ``g'``, are

    u_j + g e_k·ê_j + (g' - g) (|ê_j|²/2 + c·ê_j)

so that only the first turn needs a matrix product with the data.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["GramTable", "TableCache", "segments"]

# Scores are computed afresh where the gains have fallen this far: rounding stays relative to the
# scale at which the product was made.
_FRESH_BELOW = 1.0 / 16.0
_UNIT_ROUNDOFF = 2.0**-24
_GRAM_ROWS = 256


class GramTable(NamedTuple):
    """A codebook, prepared for the loop; columns beyond the codes can never be chosen.

    Attributes:
        codes: ``k d``; the codes.
        gains: ``l``; gain of each turn.
        centre: ``d``, float64; the mean of the codes.
        centred: ``p d``; the codes minus the centre, padded with zeros to ``p`` rows.
        half_squares: ``p``; half their squared norms, infinity where padded.
        drift: ``p``; what a change of gain adds to a score; 0 where padded.
        gram: ``k p``; products of the codes with the centred codes; ``0 p`` where not wanted.
        bounds: ``l 3``; how far two scores may be off together at each turn: factors of the size
            of the centred residual and of the vector at the last fresh product, and a constant.
        segments: first and last turn (exclusive) between fresh products.
        turns: the turns that take these codes, from the first to the last (exclusive).
    """

    codes: Float[Tensor, "k d"]
    gains: Float[Tensor, " l"]
    centre: Float[Tensor, " d"]
    centred: Float[Tensor, "p d"]
    half_squares: Float[Tensor, " p"]
    drift: Float[Tensor, " p"]
    gram: Float[Tensor, "rows p"]
    bounds: Float[Tensor, "l 3"]
    segments: list[tuple[int, int]]
    turns: tuple[int, int]

    @staticmethod
    def build(
        codes: Float[Tensor, "k d"],
        gains: Float[Tensor, " l"],
        *,
        with_gram: bool,
        multiple: int,
        turns: tuple[int, int] | None = None,
    ) -> "GramTable":
        """Prepare a codebook.

        Args:
            codes: float32, at least one, on the CPU.
            gains: positive.
            with_gram: whether later turns take their scores from the Gram matrix; otherwise every
                turn makes a product of its own.
            multiple: pad the number of codes to a multiple of this.
            turns: the first and the last (exclusive) of the turns that take these codes; by
                default all.

        Returns:
            The table.
        """
        # Copies: the codebook that they come from may change in place.
        codes = codes.detach().clone(memory_format=torch.contiguous_format)
        gains = gains.detach().clone()
        size = len(codes)
        exact = codes.double()
        centre = exact.mean(dim=0)
        centred = exact - centre
        half_squares = centred.square().sum(dim=1) / 2
        drift = half_squares + centred @ centre
        padding = -size % multiple
        short = torch.nn.functional.pad(centred, (0, 0, 0, padding)).float()
        gram = codes.new_empty(size if with_gram else 0, len(short))
        for start in range(0, len(gram), _GRAM_ROWS):
            gram[start : start + _GRAM_ROWS] = exact[start : start + _GRAM_ROWS] @ short.double().T
        start, end = turns or (0, len(gains))
        parts = [(turn, turn + 1) for turn in range(start, end)]
        if with_gram:
            parts = [(start + first, start + last) for first, last in segments(gains[start:end])]
        norms = [centred.norm(dim=1).max(), exact.norm(dim=1).max(), drift.abs().max()]
        return GramTable(
            codes,
            gains,
            centre,
            short,
            torch.nn.functional.pad(half_squares, (0, padding), value=torch.inf).float(),
            torch.nn.functional.pad(drift, (0, padding)).float(),
            gram,
            _bounds(gains.tolist(), parts, codes.shape[1], *(float(norm) for norm in norms)),
            parts,
            (start, end),
        )


def segments(gains: Float[Tensor, " l"]) -> list[tuple[int, int]]:
    """Split the turns where the gains have fallen so far that scores must be computed afresh.

    Example:
        >>> segments(torch.tensor([1.0, 0.5, 0.05, 0.04]))
        [(0, 2), (2, 4)]
    """
    values = gains.tolist()
    starts = [0]
    for turn, gain in enumerate(values):
        if gain < _FRESH_BELOW * values[starts[-1]]:
            starts.append(turn)
    return list(zip(starts, [*starts[1:], len(values)], strict=True))


def _bounds(
    gains: list[float],
    parts: list[tuple[int, int]],
    width: int,
    spread: float,
    largest: float,
    drift: float,
) -> Float[Tensor, "l 3"]:
    """Bound how far the difference of two scores may be off, turn by turn.

    A dot product of width ``d`` is off by at most ``d u |x| |e|`` with ``u = 2^-24`` (Higham,
    Accuracy and Stability of Numerical Algorithms, 2002, eq. 3.5); each later turn adds the
    rounding of two products and two sums of the size of the scores, and the decoder's own float32
    sum departs from the ideal one by a ``u`` of its size per turn.

    Args:
        gains: gain of each turn.
        parts: turns between fresh products.
        width: of the codes.
        spread: largest norm of a centred code.
        largest: largest norm of a code.
        drift: largest size of what a change of gain adds.
    """
    rows = [[torch.inf] * 3 for _ in gains]
    for first, last in parts:
        travelled, per_reach = 0.0, (width + 6) * spread
        size = gains[first] * spread**2 / 2  # of the scores, beside reach * spread
        constant = 2 * size
        for turn in range(first, last):
            gain = gains[turn]
            if turn > first:
                before = gains[turn - 1]
                travelled += before * largest
                size += before * largest * spread + (before - gain) * drift
                per_reach += 4 * spread
                constant += 4 * size
            # The decoder's sum, its product with sigma, and gain times code, all rounded.
            rounding = turn - first + 4
            per_level = rounding * spread + 2 * largest
            fixed = per_level * (travelled + gain * largest)
            rows[turn] = [per_reach, per_level, constant + fixed]
    return torch.tensor(rows, dtype=torch.float64).reshape(-1, 3) * (4 * _UNIT_ROUNDOFF)


class TableCache:
    """The last table, for as long as codes and gains are the same to the last bit."""

    def __init__(self) -> None:
        self._table: GramTable | None = None

    def get(
        self,
        codes: Float[Tensor, "k d"],
        gains: Float[Tensor, " l"],
        *,
        with_gram: bool,
        turns: tuple[int, int] | None = None,
    ) -> GramTable | None:
        """Give the table if it fits what is asked."""
        table = self._table
        if table is None or (with_gram and len(table.gram) == 0):
            return None
        if table.turns != (turns or (0, len(gains))):
            return None
        same = torch.equal(table.codes, codes) and torch.equal(table.gains, gains)
        return table if same else None

    def keep(self, table: GramTable) -> None:
        """Remember a table."""
        self._table = table

    def __deepcopy__(self, memo: dict[int, object]) -> "TableCache":
        return TableCache()

    def __reduce__(self) -> tuple[type["TableCache"], tuple[()]]:
        return TableCache, ()
