"""The codes and how they learn: by averages or by gradients, with dead codes brought back."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loopyvq.ops.distributed import gather_rows_over_ranks, sum_over_ranks
from loopyvq.quantize.supports import keep_largest, support_of_codes

__all__ = ["Assignments", "Codebook"]

# How often dead codes are looked for, in updates; looking costs a synchronisation.
_REVIVAL_PERIOD = 10
# Averages lighter than this are left alone: dividing by them would amplify rounding.
_LEAST_MASS = 1e-6


class Assignments(NamedTuple):
    """Which residual chose which code at which gain, over all turns that ran.

    Attributes:
        residuals: what was left before the turn, in units of ``sigma``.
        codes: the code that was chosen, ``0..k-1``.
        gains: the gain of that turn.
        turns: that turn, from 0.
    """

    residuals: Float[Tensor, "n d"]
    codes: Int[Tensor, " n"]
    gains: Float[Tensor, " n"]
    turns: Int[Tensor, " n"]

    def least_squares(self, size: int) -> tuple[Float[Tensor, "k d"], Float[Tensor, " k"]]:
        """Sum what determines the best codes.

        The code that minimises ``sum |r - g e|^2`` over its residuals is ``sum g r / sum g^2``.

        Returns:
            The sums of ``g r`` and of ``g^2`` per code, in float32.
        """
        weighted = self.residuals * self.gains.unsqueeze(1)
        sums = weighted.new_zeros(size, weighted.shape[1]).index_add_(0, self.codes, weighted)
        mass = self.gains.new_zeros(size).index_add_(0, self.codes, self.gains.square())
        return sums, mass


class Codebook(nn.Module):
    """The shared codes.

    Args:
        size: number of codes, at least 1.
        dim: their width, at least 1.
        update: ``"ema"``: a running least-squares average, no parameter; ``"gradient"``: a
            parameter moved by the optimizer through the codebook loss; ``"frozen"``: never.
        decay: share of the old average that is kept in one update, in ``[0, 1)``.
        revive_below: a code used less than this share of the mean usage is replaced by a residual
            of the current batch; 0 never does.
        supports: how many entries of a code may differ from zero, for equal shares of the codes;
            empty for all. The averages are those of full codes, so the entries may change.

    References:
        Van den Oord, Vinyals and Kavukcuoglu, "Neural Discrete Representation Learning", 2017,
        appendix A.1 (averages), https://arxiv.org/abs/1711.00937
    """

    weight: Tensor
    initialised: Tensor
    updates: Tensor
    usage: Tensor
    mass: Tensor
    sums: Tensor
    pending_usage: Tensor
    pending_mass: Tensor
    pending_sums: Tensor

    def __init__(
        self,
        size: int,
        dim: int,
        update: str,
        decay: float,
        revive_below: float,
        supports: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.update_kind = update
        self.decay = decay
        self.revive_below = revive_below
        self.support = support_of_codes(supports, size) if supports else None
        weight = keep_largest(torch.randn(size, dim) / dim**0.5, self.support)
        if update == "gradient":
            self.weight = nn.Parameter(weight)
        else:
            self.register_buffer("weight", weight)
        self.register_buffer("initialised", torch.zeros((), dtype=torch.bool))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("usage", torch.zeros(size))
        self.register_buffer("mass", torch.zeros(size))
        self.register_buffer("sums", torch.zeros(size, dim))
        self.register_buffer("pending_usage", torch.zeros(size), persistent=False)
        self.register_buffer("pending_mass", torch.zeros(size), persistent=False)
        self.register_buffer("pending_sums", torch.zeros(size, dim), persistent=False)

    @property
    def size(self) -> int:
        """The number of codes."""
        return self.weight.shape[0]

    def prices(self) -> Float[Tensor, " k"]:
        """Give what each code costs by its usage, ``-log2 p``, as a share of the mean cost."""
        usage = self.usage + 1e-2 * self.usage.mean() + torch.finfo(self.usage.dtype).tiny
        share = usage / usage.sum()
        bits = -share.log2()
        return (
            bits / (share * bits).sum().clamp(min=1e-9) if self.size > 1 else torch.ones_like(bits)
        )

    @torch.no_grad()
    def set(self, codes: Float[Tensor, "k d"]) -> None:
        """Replace all codes; the averages start anew from them.

        Args:
            codes: finite, of the codebook's shape; they lose entries that they may not have.

        Raises:
            ValueError: the shape differs or a value is not finite.
        """
        if codes.shape != self.weight.shape or not bool(codes.isfinite().all()):
            raise ValueError(f"codes must be finite and of shape {tuple(self.weight.shape)}")
        self.weight.copy_(keep_largest(codes, self.support))
        for average in (self.usage, self.mass, self.sums):
            average.zero_()
        self.initialised.fill_(True)

    @torch.no_grad()
    def collect(self, assignments: Assignments) -> None:
        """Note which residuals chose which codes for the next update."""
        ones = torch.ones_like(assignments.gains)
        self.pending_usage.index_add_(0, assignments.codes, ones)
        if self.update_kind == "ema":
            sums, mass = assignments.least_squares(self.size)
            self.pending_sums += sums
            self.pending_mass += mass

    @torch.no_grad()
    def update(self, recent: Assignments) -> None:
        """Learn from what was collected since the last update, over all ranks.

        Args:
            recent: residuals of the last forward pass, from which dead codes are revived.
        """
        usage = sum_over_ranks(self.pending_usage)
        # Without news everything is kept; the very first usage is taken whole.
        kept = torch.where(usage.sum() > 0, self.decay, 1.0)
        self._fade(self.usage, usage, torch.where(self.usage.sum() > 0, kept, 0.0))
        if self.update_kind == "ema":
            mass, sums = sum_over_ranks(self.pending_mass), sum_over_ranks(self.pending_sums)
            self._start_averages(mass)
            self._fade(self.mass, mass, kept)
            self._fade(self.sums, sums, kept)
            heavy = (self.mass > _LEAST_MASS).unsqueeze(1)
            average = self.sums / self.mass.clamp(min=_LEAST_MASS).unsqueeze(1)
            self.weight.copy_(keep_largest(torch.where(heavy, average, self.weight), self.support))
        self.updates += 1
        if self.revive_below > 0 and int(self.updates) % _REVIVAL_PERIOD == 0:
            self._revive(recent)
        for pending in (self.pending_usage, self.pending_mass, self.pending_sums):
            pending.zero_()

    def _fade(self, average: Tensor, news: Tensor, kept: Float[Tensor, ""]) -> None:
        """Mix news into an average."""
        average.copy_(kept * average + (1 - kept) * news)

    def _start_averages(self, mass: Float[Tensor, " k"]) -> None:
        """Give codes that were set by hand the weight of their first batch, so that they stay."""
        fresh = self.mass.sum() == 0
        first = torch.maximum(mass, mass.mean())
        self.mass.copy_(torch.where(fresh, first, self.mass))
        self.sums.copy_(torch.where(fresh, self.weight * first.unsqueeze(1), self.sums))

    def _revive(self, recent: Assignments) -> None:
        """Move codes that nobody uses to residuals of the current batch, alike on all ranks."""
        candidates = self._candidates(recent)
        # Seeded anew: ranks with different batches have drawn different numbers of numbers.
        generator = torch.Generator().manual_seed(int(self.updates))
        dead = (self.usage < self.revive_below * self.usage.mean()).nonzero().squeeze(1)
        dead = dead[torch.randperm(len(dead), generator=generator).to(dead.device)]
        dead = dead[: len(candidates)]
        order = torch.randperm(len(candidates), generator=generator)[: len(dead)]
        codes = candidates[order.to(candidates.device)]
        support = None if self.support is None else self.support[dead.cpu()]
        self.weight.index_copy_(0, dead, keep_largest(codes, support))
        typical = self.mass.mean()
        self.usage.index_copy_(0, dead, self.usage.mean().expand(len(dead)))
        self.mass.index_copy_(0, dead, typical.expand(len(dead)))
        self.sums.index_copy_(0, dead, codes * typical)

    def _candidates(self, recent: Assignments) -> Float[Tensor, "c d"]:
        """Sample up to ``size`` residuals of every rank, brought to the codes' scale."""
        generator = torch.Generator().manual_seed(int(self.updates))
        order = torch.randperm(len(recent.codes), generator=generator)
        chosen = order[: self.size].to(self.weight.device)
        sampled = recent.residuals[chosen] / recent.gains[chosen].unsqueeze(1)
        return gather_rows_over_ranks(sampled.to(self.weight), self.size)
