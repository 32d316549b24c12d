"""The Gumbel quantizer: a layer scores all codes, and noise draws one of them while training."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from loopyvq.errors import ConfigError
from loopyvq.ops.precision import full_float32, no_autocast
from loopyvq.quantize.base import Quantized
from loopyvq.quantize.config import LoopConfig
from loopyvq.quantize.loop import LoopQuantizer
from loopyvq.quantize.sites import flatten_sites
from loopyvq.tokens import PAD, Tokens

__all__ = ["GumbelConfig", "GumbelQuantizer"]

_TINY = 1e-10


@dataclass(frozen=True)
class GumbelConfig:
    """Options of the draw.

    Attributes:
        temperature: softness of the draw at the start; a training task may lower
            `GumbelQuantizer.temperature` step by step.
        straight_through: whether a training pass gives one code per site, with the gradient of the
            soft mixture, and not the mixture itself.
        kl_weight: weight of the divergence of the scores from the uniform distribution.
    """

    temperature: float = 1.0
    straight_through: bool = True
    kl_weight: float = 5e-4

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not (0 < self.temperature < math.inf):
            raise ConfigError(f"temperature must be above 0, got {self.temperature}")
        if not self.kl_weight >= 0:
            raise ConfigError(f"kl_weight must be 0 or more, got {self.kl_weight}")


class GumbelQuantizer(LoopQuantizer):
    """Choose one code per vector by a learned score instead of the distance.

    Only the choice differs from a loop of one turn: tokens decode as everywhere, by the codebook.
    In evaluation mode the best score wins, without noise, the lowest index among ties; a threshold
    changes nothing, and a depth of 0 gives no token.

    Args:
        config: the codebook; one turn, no dummies, no threshold, absolute scale.
        gumbel: the draw.

    Raises:
        ConfigError: the options of the loop are others.

    References:
        Jang, Gu and Poole, "Categorical Reparameterization with Gumbel-Softmax", 2017, eq. 2,
        https://arxiv.org/abs/1611.01144
    """

    def __init__(self, config: LoopConfig, gumbel: GumbelConfig | None = None) -> None:
        plain = config.max_depth == 1 and config.threshold == 0 and not config.dummies
        if not plain or config.transform != "residual" or config.scale != "absolute":
            raise ConfigError(
                "a Gumbel quantizer needs max_depth 1, threshold 0, dummies off, "
                "transform residual and scale absolute"
            )
        if config.codebook_update == "ema":
            raise ConfigError("a Gumbel quantizer learns by gradient: codebook_update is not ema")
        super().__init__(config)
        self.gumbel = gumbel or GumbelConfig()
        self.temperature = self.gumbel.temperature
        self.generator: torch.Generator | None = None
        self.scores = nn.Linear(config.codebook_dim, config.codebook_size)
        self.codebook.initialised.fill_(True)  # nothing is to be started from data

    def logits(self, z_e: Float[Tensor, "*n d"]) -> Float[Tensor, "*n k"]:
        """Score every code for every vector, in full float32."""
        with no_autocast(z_e.device), full_float32():
            return self.scores(z_e.float())

    def forward(
        self,
        z_e: Float[Tensor, "*n d"],
        threshold: float | Tensor | None = None,
        depth: int | Tensor | None = None,
        mask: Bool[Tensor, "*n"] | None = None,
    ) -> Quantized:
        """Quantize latents; in training mode the choice is drawn, at `temperature`.

        Args:
            z_e: the latents.
            threshold: ignored: there is one turn.
            depth: 0 gives a site no token.
            mask: sites to quantize; the others get no token, zeros, and no gradient.

        Returns:
            As every quantizer. ``loss`` is ``kl_weight`` times the divergence, which stands in
            ``codebook_loss``; there is no commitment. The noise of a training pass comes from
            ``generator``, by default torch's own.

        Raises:
            ValueError: the width differs from ``codebook_dim``.
        """
        self._check_width(z_e)
        sites = z_e.shape[:-1]
        with no_autocast(z_e.device):
            rows, chosen = self._chosen_rows(z_e, depth, mask)
            logits = self.logits(rows)
            z_q, codes = self._draw(logits) if self.training else self._best(logits)
            z_q = torch.where(chosen.unsqueeze(1), z_q, 0.0)
            error = (rows.detach() - z_q.detach()).double().square().sum(dim=1).sqrt()
            divergence = self._divergence(logits, chosen)
        tokens = self._tokens(codes, chosen, sites)
        return Quantized(
            z_q.reshape(z_e.shape),
            tokens.codes,
            self.gumbel.kl_weight * divergence,
            tokens.lengths,
            torch.where(chosen, error, torch.nan).to(rows.dtype).reshape(sites),
            torch.zeros(sites, dtype=torch.bool, device=z_e.device),
            divergence.new_zeros(()),
            divergence,
        )

    @torch.no_grad()
    def encode(
        self,
        z_e: Float[Tensor, "*n d"],
        threshold: float | Tensor | None = None,
        depth: int | Tensor | None = None,
        mask: Bool[Tensor, "*n"] | None = None,
    ) -> Tokens:
        """Give the codes with the best scores, without noise. Arguments as in `forward`."""
        self._check_width(z_e)
        rows, chosen = self._chosen_rows(z_e, depth, mask)
        return self._tokens(self.logits(rows).argmax(dim=1), chosen, z_e.shape[:-1])

    def _chosen_rows(
        self,
        z_e: Float[Tensor, "*n d"],
        depth: int | Tensor | None,
        mask: Bool[Tensor, "*n"] | None,
    ) -> tuple[Float[Tensor, "m d"], Bool[Tensor, " m"]]:
        """Give the latents as rows, and which of them get a token."""
        rows, valid = flatten_sites(z_e, mask)
        most = torch.as_tensor(1 if depth is None else depth, device=z_e.device)
        return rows, valid & (most.expand(z_e.shape[:-1]).reshape(-1) > 0)

    def _tokens(
        self, codes: Int[Tensor, " m"], chosen: Bool[Tensor, " m"], sites: torch.Size
    ) -> Tokens:
        kept = torch.where(chosen, codes, PAD)
        return Tokens(kept.reshape(*sites, 1), chosen.long().reshape(sites))

    def _best(self, logits: Float[Tensor, "m k"]) -> tuple[Float[Tensor, "m d"], Int[Tensor, " m"]]:
        codes = logits.argmax(dim=1)
        return self.codebook.weight[codes], codes

    def _draw(self, logits: Float[Tensor, "m k"]) -> tuple[Float[Tensor, "m d"], Int[Tensor, " m"]]:
        """Add Gumbel noise and mix the codes by the softened result, or take the best one."""
        noise = torch.empty_like(logits).exponential_(generator=self.generator)
        noise = -noise.clamp(min=torch.finfo(noise.dtype).tiny).log()
        soft = ((logits + noise) / self.temperature).softmax(dim=1)
        codes = soft.detach().argmax(dim=1)
        if self.gumbel.straight_through:
            hard = F.one_hot(codes, self.codebook_size).to(soft.dtype)
            soft = hard + (soft - soft.detach())
        return soft @ self.codebook.weight, codes

    def _divergence(
        self, logits: Float[Tensor, "m k"], chosen: Bool[Tensor, " m"]
    ) -> Float[Tensor, ""]:
        """Measure how far the scores are from uniform, in nats per site."""
        share = logits.softmax(dim=1)
        each = (share * (share * self.codebook_size + _TINY).log()).sum(dim=1)
        return torch.where(chosen, each, 0.0).sum() / chosen.sum().clamp(min=1)
