"""The Loopy Vector Quantizer: every vector gets as many tokens as it needs.

z_e --(/ sigma)--> loop: nearest code, subtract or pull, close enough? --> Tokens
                    |                                                       |
                 codebook, gains  <--- averages, k-means, revival        decode: a sum
                                                                            |
straight-through gradient (once) <-------------------------------------- z_q
"""

from dataclasses import replace

import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from loopyvq.ops.distributed import (
    copy_from_first_rank,
    gather_rows_over_ranks,
    is_parallel,
    num_ranks,
)
from loopyvq.ops.straight_through import straight_through
from loopyvq.quantize.base import Quantized, Quantizer
from loopyvq.quantize.codebook import Assignments, Codebook
from loopyvq.quantize.commitment import commitment_and_codebook_loss
from loopyvq.quantize.config import LoopConfig
from loopyvq.quantize.fit import assignments_of, fit_codes, rows_of
from loopyvq.quantize.gains import Gains
from loopyvq.quantize.length_curve import LengthCurve
from loopyvq.quantize.pull import pull_walk
from loopyvq.quantize.residual import Walk, residual_walk
from loopyvq.quantize.scale import RunningScale
from loopyvq.quantize.stop import rate_distortion_lengths, threshold_lengths, truncate
from loopyvq.tokens import CONTINUE, Tokens

__all__ = ["LoopConfig", "LoopQuantizer"]

# Walks per training step that keep the length curve current.
_CURVE_WALKS = 256
# Vectors per code that a codebook is started from; more change little (FAISS uses 256 at most).
_FIT_VECTORS_PER_CODE = 64


class LoopQuantizer(Quantizer):
    """Turn each vector into as many codes as it takes to come within a threshold, and back.

    Works on tensors of any shape whose last axis is the code width. In training mode a forward
    pass also learns: the scale, the averages of the codes, the curve of lengths. The update comes
    right after the pass; where several passes make one optimizer step, set
    ``automatic_update = False`` and call `update` once per step. The tokens of either stop rule
    decode alike, so ``stop``, ``token_price`` and ``min_length`` may be changed at any time.

    Args:
        config: the options.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> vectors = torch.randn(2000, 4) * torch.rand(2000, 1)
        >>> quantizer = LoopQuantizer.fit(vectors, LoopConfig(codebook_size=32, codebook_dim=4))
        >>> tokens = quantizer.encode(vectors, threshold=0.25)
        >>> error = (vectors - quantizer.decode(tokens)).norm(dim=1) / quantizer.sigma
        >>> bool(error[tokens.lengths < 8].max() <= 0.25)
        True
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
        )
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
        self.automatic_update = True
        self.frozen = config.codebook_update == "frozen"
        self._recent: Assignments | None = None

    @classmethod
    def fit(
        cls,
        vectors: npt.ArrayLike | Float[Tensor, "n d"],
        config: LoopConfig | None = None,
        seed: int = 0,
    ) -> "LoopQuantizer":
        """Learn a codebook from vectors alone, without any network.

        Args:
            vectors: ``n d``, at least one row, finite.
            config: the options; by default those of `LoopConfig` at the width of the vectors.
            seed: seed of the samples.

        Returns:
            A quantizer in evaluation mode.

        Raises:
            ValueError: the vectors are not ``n d`` with at least one row, not finite, or not of
                the configured width.
        """
        data = rows_of(vectors)
        config = config or LoopConfig(codebook_dim=data.shape[1])
        quantizer = cls(replace(config, start_iterations=max(config.start_iterations, 20)))
        quantizer._check_width(data)
        quantizer._start(data, torch.Generator().manual_seed(seed))
        return quantizer.eval()

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

    def freeze(self) -> "LoopQuantizer":
        """Stop all learning of scale, codes, gains and curve; gradients still pass through."""
        self.frozen = True
        return self.requires_grad_(False)

    def forward(
        self,
        z_e: Float[Tensor, "*n d"],
        threshold: float | Tensor | None = None,
        depth: int | Tensor | None = None,
        mask: Bool[Tensor, "*n"] | None = None,
    ) -> Quantized:
        """Quantize latents; in training mode also learn from them.

        Args:
            z_e: the latents; half precision is raised to float32. A row that is not finite is
                treated as masked, and its ``residual_norm`` is NaN.
            threshold: stop distance in units of ``sigma``, 0 or more, a number or a tensor that
                broadcasts to the sites; by default the configured one.
            depth: most turns, a number or a tensor that broadcasts to the sites; by default
                ``max_depth``.
            mask: sites to quantize; the others get no token, zeros, and no gradient.

        Returns:
            Latents, tokens, losses and the exact error of every site. The losses are means over
            the turns that ran at valid sites, in units of ``sigma`` squared.

        Raises:
            ValueError: the width differs from ``codebook_dim``, or a threshold or a depth is
                negative.
        """
        self._check_width(z_e)
        sites = z_e.shape[:-1]
        with torch.autocast(z_e.device.type, enabled=False):
            kept, valid = _flatten(z_e, mask)
            # In parallel a rank without any site takes part as well: the others wait for it.
            some = self.training and (is_parallel() or bool(valid.any()))
            learning = some and not self.frozen
            if learning and not self.codebook.initialised:
                self._start(kept.detach()[valid], torch.Generator().manual_seed(0))
            walk = self._walk(kept.detach(), *self._limits(sites, threshold, depth, valid))
            commitment, codebook_loss = self._losses(kept, walk.codes)
            z_q = self._sum(walk.codes, kept.dtype)
            error = (kept.detach().double() - z_q.double()).square().sum(dim=1).sqrt()
            norm = torch.where(valid, error / self.sigma.double(), torch.nan).to(kept.dtype)
            if learning:
                self._learn(kept.detach(), valid, walk)
            z_q = torch.where(valid.unsqueeze(1), straight_through(kept, z_q), 0.0)
        loss = self.config.commitment_weight * commitment
        return Quantized(
            z_q.reshape(z_e.shape),
            walk.codes.reshape(*sites, self.max_depth),
            loss + self.config.codebook_weight * codebook_loss,
            walk.lengths.reshape(sites),
            norm.reshape(sites),
            (walk.reached & valid).reshape(sites),
            commitment,
            codebook_loss,
        )

    @torch.no_grad()
    def encode(
        self,
        z_e: Float[Tensor, "*n d"],
        threshold: float | Tensor | None = None,
        depth: int | Tensor | None = None,
        mask: Bool[Tensor, "*n"] | None = None,
    ) -> Tokens:
        """Give only the tokens; change nothing. Arguments as in `forward`."""
        self._check_width(z_e)
        sites = z_e.shape[:-1]
        with torch.autocast(z_e.device.type, enabled=False):
            kept, valid = _flatten(z_e, mask)
            walk = self._walk(kept, *self._limits(sites, threshold, depth, valid))
        return Tokens(walk.codes.reshape(*sites, self.max_depth), walk.lengths.reshape(sites))

    @torch.no_grad()
    def decode(self, tokens: Tokens) -> Float[Tensor, "*n d"]:
        """Give the latents that the tokens stand for; any prefix of a site's codes decodes.

        Args:
            tokens: codes within ``0..codebook_size-1``, `CONTINUE` or `PAD`, at most
                ``max_depth`` per site; the two marks add nothing.

        Returns:
            float32 latents, equal to ``z_q`` of an evaluation pass to the last bit.

        Raises:
            ValueError: a code is out of range or there are too many turns.
        """
        codes = tokens.codes
        if codes.shape[-1] > self.max_depth:
            raise ValueError(f"codes have {codes.shape[-1]} turns, at most {self.max_depth} decode")
        if codes.numel() and (codes.min() < CONTINUE or codes.max() >= self.codebook_size):
            raise ValueError(f"codes must be below {self.codebook_size}, CONTINUE or PAD")
        rows = codes.reshape(codes.shape[:-1].numel(), codes.shape[-1])
        decoded = self._sum(rows, self.codebook.weight.dtype)
        return decoded.reshape(*codes.shape[:-1], self.config.codebook_dim)

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

    def _check_width(self, z_e: Tensor) -> None:
        if z_e.shape[-1] != self.config.codebook_dim:
            raise ValueError(
                f"the last axis must have codebook_dim = {self.config.codebook_dim} entries, "
                f"got shape {tuple(z_e.shape)}"
            )

    def _limits(
        self,
        sites: torch.Size,
        threshold: float | Tensor | None,
        depth: int | Tensor | None,
        valid: Bool[Tensor, " n"],
    ) -> tuple[Float[Tensor, " n"], Int[Tensor, " n"]]:
        """Bring the stop rule to one threshold and one depth per site; 0 turns where not valid."""
        device = valid.device
        if threshold is None:
            threshold = self.config.threshold
        limit = torch.as_tensor(threshold, dtype=torch.float64, device=device)
        most = torch.as_tensor(self.max_depth if depth is None else depth, device=device)
        if bool((limit < 0).any()) or bool(limit.isnan().any()):
            raise ValueError(f"threshold must be 0 or more, got {threshold}")
        if depth is not None and bool((most < 0).any()):
            raise ValueError(f"depth must be 0 or more, got {depth}")
        most = most.clamp(max=self.max_depth).expand(sites).reshape(-1)
        return limit.expand(sites).reshape(-1), torch.where(valid, most, 0)

    def _codebooks(self) -> Float[Tensor, "l k d"]:
        """Give the codes of every turn, its gain included."""
        return self.gains()[:, None, None] * self.codebook.weight

    @torch.no_grad()
    def _walk(
        self, latents: Float[Tensor, "n d"], threshold: Tensor, depth: Int[Tensor, " n"]
    ) -> Walk:
        """Run the configured transform."""
        config = self.config
        if config.transform == "pull":
            return pull_walk(
                latents,
                self.codebook.weight,
                self.sigma,
                threshold,
                depth,
                max_depth=config.max_depth,
                step_size=config.step_size,
            )
        weighs = self.stop == "rate_distortion"
        walk = residual_walk(
            latents,
            self._codebooks(),
            self.sigma,
            torch.zeros_like(threshold) if weighs else threshold,
            depth,
            min_length=self.min_length,
            min_gain=config.min_gain,
            dummies=config.dummies,
        )
        if not weighs:
            return walk
        lengths = rate_distortion_lengths(
            walk.norms, threshold.double().unsqueeze(1), self.min_length, self.token_price
        )
        return truncate(walk, lengths.squeeze(1), threshold.double())

    @torch.no_grad()
    def _sum(self, codes: Int[Tensor, "n l"], dtype: torch.dtype) -> Float[Tensor, "n d"]:
        """Add up codes turn by turn, in the order and rounding of the loop itself."""
        codebooks = self._codebooks()
        total = torch.zeros(len(codes), codebooks.shape[2], dtype=dtype, device=codes.device)
        for turn in range(codes.shape[1]):
            row = codes[:, turn]
            total = total + codebooks[turn][row.clamp(min=0)] * (row >= 0).unsqueeze(1)
        return total * self.sigma

    def _losses(
        self, latents: Float[Tensor, "n d"], codes: Int[Tensor, "n l"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Measure the losses of the turns that ran; a pull ran once."""
        # Copies: the update that follows writes in place, and the graph must not see it.
        scaled = latents / self.sigma.clone()
        codebooks = self.gains()[:, None, None] * self.codebook.weight.clone()
        chosen = codes >= 0
        ran = chosen if self.config.transform == "pull" else chosen | (codes == CONTINUE)
        turn = torch.arange(codes.shape[1], device=codes.device)
        steps = codebooks[turn, codes.clamp(min=0)] * chosen.unsqueeze(2)
        return commitment_and_codebook_loss(scaled, codes, steps, ran)

    @torch.no_grad()
    def _start(self, latents: Float[Tensor, "n d"], generator: torch.Generator) -> None:
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
        )
        self.codebook.set(copy_from_first_rank(fitted.codes))
        self.gains.set(copy_from_first_rank(fitted.gains))
        self._watch_lengths(latents)
        self.length_curve.update()

    @torch.no_grad()
    def _learn(self, latents: Float[Tensor, "n d"], valid: Bool[Tensor, " n"], walk: Walk) -> None:
        """Collect what this pass teaches, and update unless that is left to the caller."""
        self.scale.collect(latents[valid])
        gains, codebooks = self.gains().detach(), self._codebooks().detach()
        scaled = latents / self.sigma
        self._recent = assignments_of(scaled.float(), walk.codes, codebooks, gains)
        self.codebook.collect(self._recent)
        self._watch_lengths(latents[valid])
        if self.automatic_update:
            self.update()

    @torch.no_grad()
    def _watch_lengths(self, latents: Float[Tensor, "n d"]) -> None:
        """Walk a few vectors to full depth and note where each threshold would have stopped."""
        stride = max(1, len(latents) // _CURVE_WALKS)
        few = latents[::stride][:_CURVE_WALKS]
        full = torch.full((len(few),), self.max_depth, device=few.device)
        # A threshold of 0 and a token that costs nothing: every turn runs.
        norms = self._walk(few, few.new_zeros(len(few)), full).norms
        thresholds = self.length_curve.thresholds.double().unsqueeze(0)
        if self.config.transform == "pull":  # one token more than pulls
            lengths = threshold_lengths(norms, thresholds, 0).add(1).clamp(max=self.max_depth)
        elif self.stop == "rate_distortion":
            lengths = rate_distortion_lengths(norms, thresholds, self.min_length, self.token_price)
        else:
            lengths = threshold_lengths(norms, thresholds, self.min_length)
        self.length_curve.collect(lengths)


def _flatten(
    z_e: Float[Tensor, "*n d"], mask: Bool[Tensor, "*n"] | None
) -> tuple[Float[Tensor, "m d"], Bool[Tensor, " m"]]:
    """Give the latents as rows, at least float32, with zeros where they are not to be quantized."""
    rows = z_e.reshape(-1, z_e.shape[-1])
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    valid = rows.detach().isfinite().all(dim=1)
    if mask is not None:
        valid = valid & mask.expand(z_e.shape[:-1]).reshape(-1)
    return torch.where(valid.unsqueeze(1), rows, 0.0), valid
