"""How many turns a threshold costs on average: learned on the way, read in both directions."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loopyvq.ops.distributed import sum_over_ranks

__all__ = ["LengthCurve"]

_POINTS = 64
_SMALLEST_THRESHOLD = 0.003
_LARGEST_THRESHOLD = 3.0


class LengthCurve(nn.Module):
    """A running curve of the mean length against the threshold.

    Errors along a full walk tell where it would have stopped for *every* threshold, so a few
    hundred walks per step keep the whole curve current.

    Args:
        max_depth: number of turns.
        decay: share of the old curve that is kept in one update, in ``[0, 1)``.
    """

    log_thresholds: Tensor
    mean_lengths: Tensor
    started: Tensor
    pending: Tensor

    def __init__(self, max_depth: int, decay: float) -> None:
        super().__init__()
        self.decay = decay
        low, high = math.log(_SMALLEST_THRESHOLD), math.log(_LARGEST_THRESHOLD)
        grid = torch.linspace(low, high, _POINTS)
        self.register_buffer("log_thresholds", grid, persistent=False)
        # Before anything is known: as if every turn shrank the error by the same factor.
        guess = torch.linspace(max_depth, 0.0, _POINTS)
        self.register_buffer("mean_lengths", guess)
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        pending = torch.zeros(_POINTS + 1, dtype=torch.float64)
        self.register_buffer("pending", pending, persistent=False)

    @property
    def thresholds(self) -> Float[Tensor, " p"]:
        """The thresholds at which the curve is kept."""
        return self.log_thresholds.exp()

    @torch.no_grad()
    def collect(self, lengths: Int[Tensor, "n p"]) -> None:
        """Note how long some vectors would have been.

        Args:
            lengths: of each vector, at each of `thresholds`.
        """
        self.pending[:-1] += lengths.sum(dim=0)
        self.pending[-1] += lengths.shape[0]

    @torch.no_grad()
    def update(self) -> None:
        """Move towards what was collected, over all ranks; the first time, go all the way."""
        total = sum_over_ranks(self.pending)
        measured = total[:-1] / total[-1].clamp(min=1)
        kept = torch.where(self.started, self.decay, 0.0)
        moved = kept * self.mean_lengths.double() + (1 - kept) * measured
        usable = total[-1] > 0
        self.mean_lengths.copy_(torch.where(usable, moved, self.mean_lengths.double()))
        self.started |= usable
        self.pending.zero_()

    def threshold_for(self, mean_length: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Read the threshold at which sites have this many tokens on average.

        Args:
            mean_length: tokens per site; lengths that the curve does not reach give its ends.

        Returns:
            Thresholds in units of ``sigma``.
        """
        rising = self.mean_lengths.flip(0).contiguous()
        wanted = mean_length.to(rising).contiguous()
        upper = torch.searchsorted(rising, wanted).clamp(1, _POINTS - 1)
        below, above = rising[upper - 1], rising[upper]
        share = ((wanted - below) / (above - below).clamp(min=1e-9)).clamp(0, 1)
        grid = self.log_thresholds.flip(0)
        return torch.lerp(grid[upper - 1], grid[upper], share).exp()
