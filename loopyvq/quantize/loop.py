"""The Loopy Vector Quantizer: every vector gets as many tokens as it needs.

z_e --(/ sigma)--> loop: nearest code, subtract or pull, close enough? --> Tokens
                    |                                                       |
                 codebook, gains  <--- averages, k-means, revival        decode: a sum
                                                                            |
straight-through gradient (once) <-------------------------------------- z_q
"""

import math
from dataclasses import replace
from typing import NamedTuple

import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from loopyvq.ops.distributed import mean_over_ranks
from loopyvq.ops.precision import no_autocast
from loopyvq.ops.straight_through import straight_through
from loopyvq.quantize import graph
from loopyvq.quantize.base import Quantized
from loopyvq.quantize.commitment import commitment_and_codebook_loss
from loopyvq.quantize.config import LoopConfig
from loopyvq.quantize.fit import rows_of
from loopyvq.quantize.learning import LearningLoop
from loopyvq.quantize.pull import pull_walk
from loopyvq.quantize.residual import (
    Costs,
    Limits,
    Walk,
    beam_walk,
    better_of,
    books_of,
    residual_walk,
)
from loopyvq.quantize.sites import flatten_sites, limits_of_sites
from loopyvq.quantize.stop import rate_distortion_lengths, truncate
from loopyvq.tokens import CONTINUE, Tokens

__all__ = ["LoopConfig", "LoopQuantizer", "Passed"]

_CHANGEABLE = ("stop", "token_price", "priced_codes", "min_length", "beam_size")


class Passed(NamedTuple):
    """What one pass over rows gave, before sites that do not count are blanked.

    Attributes:
        walk: the codes and their errors.
        z_q: ``n d``; what they decode to, with the gradient that the latents get.
        sigma: the unit at the time.
        loss: the weighted sum of the two below.
        commitment_loss: see `Quantized`.
        codebook_loss: see `Quantized`.
    """

    walk: Walk
    z_q: Tensor
    sigma: Tensor
    loss: Tensor
    commitment_loss: Tensor
    codebook_loss: Tensor


class LoopQuantizer(LearningLoop):
    """Turn each vector into as many codes as it takes to come within a threshold, and back.

    Works on tensors of any shape whose last axis is the code width. In training mode a forward
    pass also learns: the scale, the averages of the codes, the curve of lengths. The update comes
    right after the pass; where several passes make one optimizer step, set
    ``automatic_update = False`` and call `update` once per step. All tokens decode alike, however
    they were searched for: ``stop``, ``token_price``, ``priced_codes``, ``min_length`` and
    ``beam_size`` are attributes that may be changed at any time.

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

    _keeps_precision = True

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
        quantizer.start_from(data, torch.Generator().manual_seed(seed))
        return quantizer.eval()

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
        with no_autocast(z_e.device):
            rows, valid = flatten_sites(z_e, mask)
            found = self._pass(rows, valid, self._limits(sites, threshold, depth, valid))
            walk, fixed = found.walk, found.z_q.detach()
            error = (rows.detach().double() - fixed.double()).square().sum(dim=1).sqrt()
            norm = torch.where(valid, error / found.sigma.double(), torch.nan).to(rows.dtype)
            z_q = torch.where(valid.unsqueeze(1), found.z_q, 0.0)
        return Quantized(
            z_q.reshape(z_e.shape),
            walk.codes.reshape(*sites, self.max_depth),
            found.loss,
            walk.lengths.reshape(sites),
            norm.reshape(sites),
            (walk.reached & valid).reshape(sites),
            found.commitment_loss,
            found.codebook_loss,
        )

    def _pass(
        self, rows: Float[Tensor, "n d"], valid: Bool[Tensor, " n"], limits: Limits
    ) -> Passed:
        """Quantize rows; in training mode also learn from them."""
        learning, fixed = self.training and not self.frozen, rows.detach()
        if learning:
            graph.start(self, fixed, valid)
        settled = graph.settle(self, fixed, limits)
        commitment, codebook_loss = self._losses(rows, settled)
        if learning:
            graph.learn(self, fixed, valid, settled.walk.codes)
        loss = self.config.commitment_weight * commitment
        return Passed(
            settled.walk,
            straight_through(rows, settled.z_q),
            settled.sigma,
            loss + self.config.codebook_weight * codebook_loss,
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
        with no_autocast(z_e.device):
            rows, valid = flatten_sites(z_e, mask)
            walk = graph.walk(self, rows, self._limits(sites, threshold, depth, valid))
        return Tokens(walk.codes.reshape(*sites, self.max_depth), walk.lengths.reshape(sites))

    @torch.no_grad()
    def decode(self, tokens: Tokens) -> Float[Tensor, "*n d"]:
        """Give the latents that the tokens stand for; any prefix of a site's codes decodes.

        Args:
            tokens: codes within ``0..codebook_size-1``, `CONTINUE` or `PAD`, at most
                ``max_depth`` per site; the two marks add nothing.

        Returns:
            float32 latents, equal to ``z_q`` of an evaluation pass over float32 latents to the last
            bit.

        Raises:
            ValueError: a code is out of range or there are too many turns.
        """
        codes = tokens.codes.long()
        if codes.shape[-1] > self.max_depth:
            raise ValueError(f"codes have {codes.shape[-1]} turns, at most {self.max_depth} decode")
        traced = torch.compiler.is_compiling()  # a graph cannot look at values
        if (
            not traced
            and codes.numel()
            and (codes.min() < CONTINUE or codes.max() >= self.codebook_size)
        ):
            raise ValueError(f"codes must be below {self.codebook_size}, CONTINUE or PAD")
        rows = codes.reshape(math.prod(codes.shape[:-1]), codes.shape[-1])
        decoded = self._sum(rows, self.codebook.weight.dtype)
        return decoded.reshape(*codes.shape[:-1], self.config.codebook_dim)

    def _check_attributes(self) -> None:
        """Check what may be changed at any time, as `LoopConfig` checks it at the start."""
        changed = {name: getattr(self, name) for name in _CHANGEABLE}
        if changed != {name: getattr(self.config, name) for name in _CHANGEABLE}:
            replace(self.config, **changed)

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
    ) -> Limits:
        """Bring the arguments of a call to limits of every row."""
        if threshold is None:
            threshold = self.config.threshold
        limits = limits_of_sites(
            sites, threshold, self.max_depth if depth is None else depth, valid
        )
        return limits._replace(depth=limits.depth.clamp(max=self.max_depth))

    @torch.no_grad()
    def walk(self, latents: Float[Tensor, "n d"], limits: Limits) -> Walk:
        """Run the configured transform and stop rule on rows.

        Raises:
            ConfigError: an attribute that was changed is out of its range.
        """
        self._check_attributes()
        config, codes = self.config, self.codebook.weight
        if config.transform == "pull":
            return pull_walk(
                latents,
                codes,
                self.sigma,
                limits,
                max_depth=config.max_depth,
                step_size=config.step_size,
                cache=self._tables,
            )
        wanted = limits._replace(
            min_length=self.min_length,
            min_gain=config.min_gain,
            dummies=config.dummies,
            first_dummy=config.first_dummy,
        )
        walk = self._greedy_walk(latents, wanted)
        if self.beam_size == 1 and not self.priced_codes:
            return walk
        weighs = self.stop == "rate_distortion"
        rates = limits.threshold.square() * (self.token_price if weighs else 0.0)
        prices = self.codebook.prices() if self.priced_codes else torch.ones_like(codes[:, 0])
        costs = Costs(rates.nan_to_num(0.0), prices.detach(), 1.0)
        search = (latents, codes, self.gains(), self.sigma, wanted, self.beam_size, costs)
        return better_of(beam_walk(*search, self._tables, self._first()), walk, costs)

    def _greedy_walk(self, latents: Float[Tensor, "n d"], limits: Limits) -> Walk:
        """Take the nearest code at every turn, and stop by the configured rule."""
        weighs = self.stop == "rate_distortion"
        wanted = limits
        if weighs:
            wanted = limits._replace(threshold=torch.zeros_like(limits.threshold))
        walk = residual_walk(
            latents,
            self.codebook.weight,
            self.gains(),
            self.sigma,
            wanted,
            self._tables,
            self._first(),
        )
        if not weighs:
            return walk
        lengths = rate_distortion_lengths(
            walk.norms, limits.threshold.unsqueeze(1), self.min_length, self.token_price
        )
        return truncate(walk, lengths.squeeze(1), limits.threshold)

    @torch.no_grad()
    def settle(self, latents: Float[Tensor, "n d"], limits: Limits) -> graph.Settled:
        """Walk and decode, and keep what that depended on."""
        walk = self.walk(latents, limits)
        z_q = self._sum(walk.codes, latents.dtype)
        return graph.Settled(walk, z_q, self.sigma.clone(), self.codebook.weight.detach().clone())

    @torch.no_grad()
    def _sum(self, codes: Int[Tensor, "n l"], dtype: torch.dtype) -> Float[Tensor, "n d"]:
        """Add up codes turn by turn, in the order and rounding of the loop itself."""
        codebooks = self.codebooks()
        total = torch.zeros(codes.shape[0], codebooks.shape[2], dtype=dtype, device=codes.device)
        for turn in range(codes.shape[1]):
            row = codes[:, turn]
            total = total + codebooks[turn][row.clamp(min=0)] * (row >= 0).unsqueeze(1)
        return total * self.sigma

    def _losses(
        self, latents: Float[Tensor, "n d"], settled: graph.Settled
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Measure the losses of the turns that ran; a pull ran once."""
        codes, weight = settled.walk.codes, settled.codes
        if self.config.codebook_update == "gradient":
            # The values of the time, which revival changes in place; the gradient of the parameter.
            weight = straight_through(self.codebook.weight, weight)
        codebooks = books_of(weight, self.gains(), self._first())
        chosen = codes >= 0
        ran = chosen if self.config.transform == "pull" else chosen | (codes == CONTINUE)
        count = ran.sum()
        if self.training:  # ranks with few turns count for less, as if all were one batch
            count = mean_over_ranks(count)
        return commitment_and_codebook_loss(latents / settled.sigma, codes, codebooks, ran, count)
