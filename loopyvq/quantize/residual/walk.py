"""What a loop is asked and what it answers, whichever way it runs."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["Limits", "Walk"]


class Limits(NamedTuple):
    """When a vector is done, and what a turn may emit.

    Attributes:
        threshold: ``n``, float64; stop once ``|r| <= threshold``, in units of ``sigma``; 0 or more.
        depth: ``n``; at most this many turns; 0 leaves a vector out.
        min_length: turns that run even when the vector is close enough.
        min_gain: share of the squared error that a code must remove to be used, in ``[0, 1)``.
        dummies: whether a code that removes less gives way to `CONTINUE`.
        first_dummy: the first turn in which it may.
    """

    threshold: Float[Tensor, " n"]
    depth: Int[Tensor, " n"]
    min_length: int = 0
    min_gain: float = 0.0
    dummies: bool = True
    first_dummy: int = 0

    def may_skip(self, turn: int) -> bool:
        """Whether a turn may emit `CONTINUE`."""
        return self.dummies and turn >= self.first_dummy

    def of(self, rows: slice | Tensor) -> "Limits":
        """Give the limits of some of the vectors."""
        return self._replace(threshold=self.threshold[rows], depth=self.depth[rows])


class Walk(NamedTuple):
    """What a loop found.

    Attributes:
        codes: ``n l``; see `loopyvq.tokens.Tokens`.
        lengths: ``n``; turns that ran.
        norms: ``n l+1``; the error before each turn and after the last, in units of ``sigma``; it
            keeps its value after a stop.
        reached: ``n``; whether the loop ended because the vector was close enough.
    """

    codes: Int[Tensor, "n l"]
    lengths: Int[Tensor, " n"]
    norms: Float[Tensor, "n m"]
    reached: Tensor

    @staticmethod
    def join(parts: "list[Walk]") -> "Walk":
        """Put the walks of consecutive vectors one after the other."""
        return Walk(*(torch.cat(fields) for fields in zip(*parts, strict=True)))
