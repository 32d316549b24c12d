"""What a loop knows beside its options, and how it learns it from the vectors it meets."""

from abc import abstractmethod
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from loopyvq.ops.distributed import (
    copy_from_first_rank,
    gather_rows_over_ranks,
    is_parallel,
    num_ranks,
)
from loopyvq.ops.recomputation import is_recomputation
from loopyvq.quantize import graph
from loopyvq.quantize.base import Quantizer
from loopyvq.quantize.codebook import Assignments, Codebook
from loopyvq.quantize.config import LoopConfig
from loopyvq.quantize.fit import assignments_of, fit_codes, left_by_one_turn
from loopyvq.quantize.gains import Gains
from loopyvq.quantize.length_curve import LengthCurve
from loopyvq.quantize.residual import (
    First,
    Limits,
    TableCache,
    Walk,
    books_of,
)
from loopyvq.quantize.scale import RunningScale
from loopyvq.quantize.stop import rate_distortion_lengths, threshold_lengths

__all__ = ["LearningLoop"]

# Walks per training step that keep the length curve current.
_CURVE_WALKS = 256
# Vectors per code that a codebook is started from; more change little (FAISS uses 256 at most).
_FIT_VECTORS_PER_CODE = 64


class LearningLoop(Quantizer):
    """The state of a loop: scale, codes, gains and length curve, with all that changes them.

    Args:
        config: the options.
    """

    def __init__(self, config: LoopConfig) -> None:
        super().__init__()
        self.config = config
        self.codebook = Codebook(
            config.codebook_size,
            config.codebook_dim,
            config.codebook_update,
            config.ema_decay,
            config.revive_below,
            config.code_supports,
        )
        self.first_codes: Tensor | None
        first_codes = torch.zeros_like(self.codebook.weight) if config.first_codebook else None
        self.register_buffer("first_codes", first_codes)
        is_residual = config.transform == "residual"
        self.gains = Gains(
            config.max_depth,
            config.gain_ratio if is_residual else 1.0,
            learned=is_residual
            and config.learn_gains
            and config.max_depth > 1
            and config.codebook_update != "frozen",
        )
        self.scale = RunningScale(config.scale, config.ema_decay)
        self.length_curve = LengthCurve(config.max_depth, config.ema_decay)
        self.stop = config.stop
        self.min_length = config.min_length
        self.token_price = config.token_price
        self.priced_codes = config.priced_codes
        self.beam_size = config.beam_size
        self.automatic_update = True
        self.frozen = config.codebook_update == "frozen"
        self.number = graph.number_of(self)
        self._recent: Assignments | None = None
        self._tables, self._first_tables = TableCache(), TableCache()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.number = graph.number_of(self)

    @property
    def codebook_size(self) -> int:
        """The number of codes."""
        return self.config.codebook_size

    @property
    def max_depth(self) -> int:
        """The largest length of a site."""
        return self.config.max_depth

    @property
    def sigma(self) -> Float[Tensor, ""]:
        """The unit in which thresholds and residual norms are measured."""
        return self.scale.sigma

    def freeze(self) -> "LearningLoop":
        """Stop all learning of scale, codes, gains and curve; gradients still pass through."""
        self.frozen = True
        return self.requires_grad_(False)

    @torch.no_grad()
    def update(self) -> None:
        """Learn from all passes since the last update; part of every pass unless switched off."""
        if self._recent is None:
            return
        if self.config.codebook_update != "frozen":
            self.codebook.update(self._recent)
        self.scale.update()
        self.length_curve.update()
        self._recent = None

    @abstractmethod
    def walk(self, latents: Float[Tensor, "n d"], limits: Limits) -> Walk:
        """Run the configured transform and stop rule on rows."""

    @abstractmethod
    def settle(self, latents: Float[Tensor, "n d"], limits: Limits) -> graph.Settled:
        """Walk and decode, and keep what that depended on."""

    @torch.no_grad()
    def start(self, latents: Float[Tensor, "n d"], valid: Bool[Tensor, " n"]) -> None:
        """Set scale, codes, gains and curve from the first batch that has a valid row."""
        if self.codebook.initialised or not (is_parallel() or bool(valid.any())):
            return
        self.start_from(latents[valid], torch.Generator().manual_seed(0))

    @torch.no_grad()
    def learn(
        self, latents: Float[Tensor, "n d"], valid: Bool[Tensor, " n"], codes: Int[Tensor, "n l"]
    ) -> None:
        """Collect what a pass teaches, and update unless that is left to the caller.

        In parallel a rank without any valid row takes part as well: the others wait for it. A pass
        within a backward pass repeats one (activation checkpointing) and teaches nothing.
        """
        if is_recomputation() or not (is_parallel() or bool(valid.any())):
            return
        self.scale.collect(latents[valid])
        gains, codebooks = self.gains().detach(), self.codebooks().detach()
        scaled = latents / self.sigma
        self._recent = assignments_of(scaled.float(), codes, codebooks, gains)
        self.codebook.collect(self._recent)
        self._watch_lengths(latents[valid])
        if self.automatic_update:
            self.update()

    def codebooks(self) -> Float[Tensor, "l k d"]:
        """Give the codes of every turn of a residual loop, in units of ``sigma``.

        Returns:
            One codebook per turn, its gain included; the first turn may have codes of its own.
        """
        return books_of(self.codebook.weight, self.gains(), self._first())

    def _first(self) -> First | None:
        """Give the first turn, if it has codes of its own."""
        return None if self.first_codes is None else First(self.first_codes, self._first_tables)

    @torch.no_grad()
    def start_from(self, latents: Float[Tensor, "n d"], generator: torch.Generator) -> None:
        """Set scale, codes, gains and curve from data, as if they had been learned."""
        self.scale.collect(latents)
        self.scale.update()
        most = -(-_FIT_VECTORS_PER_CODE * self.codebook_size // num_ranks())
        chosen = torch.randperm(len(latents), generator=generator)[:most].to(latents.device)
        sample = gather_rows_over_ranks(latents[chosen], most)
        if len(sample) == 0:
            return
        is_residual = self.config.transform == "residual"
        fitted = fit_codes(
            sample / self.sigma,
            self.codebook_size,
            self.gains().detach() if is_residual else latents.new_ones(1),
            iterations=self.config.start_iterations,
            generator=generator,
            fit_gains=self.gains.learned,
            dummies=is_residual and self.config.dummies,
            first_dummy=self.config.first_dummy,
            support=self.codebook.support,
        )
        self.codebook.set(copy_from_first_rank(fitted.codes))
        if self.gains.learned:
            self.gains.set(copy_from_first_rank(fitted.gains))
        self._watch_lengths(latents)
        self.length_curve.update()

    @torch.no_grad()
    def fit_later_turns(
        self,
        first_codes: Float[Tensor, "k d"],
        latents: Float[Tensor, "n d"],
        generator: torch.Generator,
    ) -> None:
        """Give the first turn its codes, and fit the others to what it leaves over.

        Args:
            first_codes: in units of ``sigma``, which stays.
            latents: finite, at least one, in an order that mixes them.
            generator: source of the samples, on the CPU.

        Raises:
            ValueError: the first turn has no codes of its own.
        """
        if self.first_codes is None:
            raise ValueError("fit_later_turns needs a loop with first_codebook = True")
        self.first_codes.copy_(first_codes)
        scaled = latents[: _FIT_VECTORS_PER_CODE * self.codebook_size] / self.sigma
        dummies, first_dummy = self.config.dummies, self.config.first_dummy
        left = left_by_one_turn(scaled, first_codes, dummies=dummies and first_dummy == 0)
        gains = self.gains()
        fitted = fit_codes(
            left,
            self.codebook_size,
            gains[1:] / gains[1],
            iterations=self.config.start_iterations,
            generator=generator,
            fit_gains=True,
            dummies=dummies,
            first_dummy=max(0, first_dummy - 1),
        )
        self.codebook.set(fitted.codes)
        self.gains.set(torch.cat([fitted.gains[:1], fitted.gains]))
        for part in latents.split(_CURVE_WALKS):
            self._watch_lengths(part)
        self.length_curve.update()

    @torch.no_grad()
    def _watch_lengths(self, latents: Float[Tensor, "n d"]) -> None:
        """Walk a few vectors to full depth and note where each threshold would have stopped."""
        stride = max(1, len(latents) // _CURVE_WALKS)
        few = latents[::stride][:_CURVE_WALKS]
        full = torch.full((len(few),), self.max_depth, device=few.device)
        # A threshold of 0 and a token that costs nothing: every turn runs.
        endless = Limits(few.new_zeros(len(few), dtype=torch.float64), full)
        norms = self.walk(few, endless).norms
        thresholds = self.length_curve.thresholds.double().unsqueeze(0)
        if self.config.transform == "pull":  # one token more than pulls
            lengths = threshold_lengths(norms, thresholds, 0).add(1).clamp(max=self.max_depth)
        elif self.stop == "rate_distortion":
            lengths = rate_distortion_lengths(norms, thresholds, self.min_length, self.token_price)
        else:
            lengths = threshold_lengths(norms, thresholds, self.min_length)
        self.length_curve.collect(lengths)
