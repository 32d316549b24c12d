"""The one scale of the latents: a running root mean square of their norms, or 1."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from loopyvq.ops.distributed import sum_over_ranks

__all__ = ["RunningScale"]


class RunningScale(nn.Module):
    """Keep ``sigma``, the unit in which thresholds are measured.

    It is global, never per vector: differences in energy between sites are what a variable length
    lives from. And it is never free, or an encoder would meet any threshold by shrinking.

    Args:
        kind: ``"rms"`` follows the root mean square of the latents' Euclidean norms, so that a
            threshold of 1 is the size of a typical latent; ``"absolute"`` is 1 for ever.
        decay: share of the old mean square that is kept in one update, in ``[0, 1)``.
    """

    sigma: Tensor
    started: Tensor
    pending: Tensor

    def __init__(self, kind: str, decay: float) -> None:
        super().__init__()
        self.follows = kind == "rms"
        self.decay = decay
        self.register_buffer("sigma", torch.ones(()))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        self.register_buffer("pending", torch.zeros(2, dtype=torch.float64), persistent=False)

    @torch.no_grad()
    def collect(self, latents: Float[Tensor, "n d"]) -> None:
        """Note the energy of some latents for the next update."""
        if self.follows:
            self.pending[0] += latents.double().square().sum()
            self.pending[1] += latents.shape[0]

    @torch.no_grad()
    def update(self) -> None:
        """Move towards what was collected, over all ranks; the first time, go all the way."""
        if not self.follows:
            return
        energy, count = sum_over_ranks(self.pending).unbind()
        mean = energy / count.clamp(min=1)
        kept = torch.where(self.started, self.decay, 0.0)
        moved = (kept * self.sigma.double().square() + (1 - kept) * mean).sqrt()
        usable = (mean > 0) & mean.isfinite()
        self.sigma.copy_(torch.where(usable, moved, self.sigma.double()))
        self.started |= usable
        self.pending.zero_()
