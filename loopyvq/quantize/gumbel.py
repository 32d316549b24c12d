"""The Gumbel quantizer: a layer scores all codes, and noise draws one of them while training."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from loopyvq.config import require_numbers
from loopyvq.errors import ConfigError
from loopyvq.ops.precision import full_float32, no_autocast
from loopyvq.ops.recomputation import is_recomputation
from loopyvq.quantize.config import LoopConfig
from loopyvq.quantize.loop import LoopQuantizer, Passed
from loopyvq.quantize.residual import Limits, Walk
from loopyvq.tokens import PAD

__all__ = ["GumbelConfig", "GumbelQuantizer"]

_TINY = 1e-10


@dataclass(frozen=True)
class GumbelConfig:
    """Options of the draw.

    Attributes:
        temperature: softness of the draw, from the end of the warm-up on.
        final_temperature: softness that it falls to, by half a cosine.
        decay_steps: the step at which it arrives there, counted from the start of training; 0
            keeps ``temperature`` for ever.
        warmup_steps: steps in which it first goes from ``first_temperature`` to ``temperature``,
            linearly.
        first_temperature: softness in the first step, if there is a warm-up.
        straight_through: whether a training pass gives one code per site, with the gradient of the
            soft mixture, and not the mixture itself.
        kl_weight: weight of the divergence of the scores from the uniform distribution.
    """

    temperature: float = 1.0
    final_temperature: float = 1e-6
    decay_steps: int = 0
    warmup_steps: int = 0
    first_temperature: float = 1.0
    straight_through: bool = True
    kl_weight: float = 5e-4

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("temperature", "final_temperature", "first_temperature"):
            if not (0 < getattr(self, name) < math.inf):
                raise ConfigError(f"{name} must be above 0, got {getattr(self, name)}")
        require_numbers(self, "0 or more", "warmup_steps", "decay_steps", "kl_weight")
        if 0 < self.decay_steps <= self.warmup_steps:
            raise ConfigError(
                f"decay_steps counts from the start: it must be 0 or above warmup_steps = "
                f"{self.warmup_steps}, got {self.decay_steps}"
            )

    def temperature_at(self, step: int) -> float:
        """Give the softness of the draw at a step of training.

        Args:
            step: optimizer steps that are done, 0 or more.

        Returns:
            The temperature.

        Example:
            >>> config = GumbelConfig(0.9, final_temperature=0.1, decay_steps=1000)
            >>> [round(config.temperature_at(step), 3) for step in (0, 500, 1000, 5000)]
            [0.9, 0.5, 0.1, 0.1]
        """
        if step < self.warmup_steps:
            share = step / self.warmup_steps
            return self.first_temperature + share * (self.temperature - self.first_temperature)
        if self.decay_steps == 0:
            return self.temperature
        share = min(1.0, (step - self.warmup_steps) / (self.decay_steps - self.warmup_steps))
        wave = 0.5 * (1 + math.cos(math.pi * share))
        return self.final_temperature + wave * (self.temperature - self.final_temperature)


class GumbelQuantizer(LoopQuantizer):
    """Choose one code per vector by a learned score instead of the distance.

    Only the choice differs from a loop of one turn: tokens decode as everywhere, by the codebook.
    In evaluation mode the best score wins, without noise, the lowest index among ties; a threshold
    changes nothing, and a depth of 0 gives no token. In training mode the choice is drawn, at
    `temperature`; ``loss`` is ``kl_weight`` times the divergence of the scores from uniform, which
    stands in ``codebook_loss``, and there is no commitment. The noise comes from ``generator``, by
    default torch's own.

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
        self.generator: torch.Generator | None = None
        self.scores = nn.Linear(config.codebook_dim, config.codebook_size)
        self.codebook.initialised.fill_(True)  # nothing is to be started from data
        self._drew = False

    @property
    def temperature(self) -> float:
        """The softness of the draw, after as many updates as there were."""
        return self.gumbel.temperature_at(int(self.codebook.updates))

    def logits(self, z_e: Float[Tensor, "*n d"]) -> Float[Tensor, "*n k"]:
        """Score every code for every vector, in full float32."""
        with no_autocast(z_e.device), full_float32():
            return self.scores(z_e.float())

    @torch.no_grad()
    def walk(self, latents: Float[Tensor, "n d"], limits: Limits) -> Walk:
        """Take the code with the best score, without noise."""
        return self._walk_to(self.logits(latents).argmax(dim=1), latents, limits)

    @torch.no_grad()
    def update(self) -> None:
        """Count the optimizer steps, on which the temperature depends."""
        self.codebook.updates += int(self._drew)
        self._drew = False

    def _pass(
        self, rows: Float[Tensor, "n d"], valid: Bool[Tensor, " n"], limits: Limits
    ) -> Passed:
        logits = self.logits(rows)
        if self.training:
            z_q, codes = self._draw(logits)
            walk = self._walk_to(codes, rows.detach(), limits)
            z_q = torch.where((walk.lengths > 0).unsqueeze(1), z_q, 0.0)
        else:
            walk = self._walk_to(logits.argmax(dim=1), rows.detach(), limits)
            z_q = self._sum(walk.codes, rows.dtype)
        divergence = self._divergence(logits, walk.lengths > 0)
        loss = self.gumbel.kl_weight * divergence
        if self.training and not self.frozen and not is_recomputation():
            self._drew = True
            if self.automatic_update:
                self.update()
        return Passed(walk, z_q, self.sigma.clone(), loss, loss.new_zeros(()), divergence)

    @torch.no_grad()
    def _walk_to(
        self, codes: Int[Tensor, " n"], latents: Float[Tensor, "n d"], limits: Limits
    ) -> Walk:
        """Write a choice as a walk of one turn, or of none where the depth is 0."""
        chosen = limits.depth > 0
        taken = torch.where(chosen, codes, PAD).unsqueeze(1)
        left = latents.double() - self._sum(taken, latents.dtype).double()
        norms = torch.stack([latents.double().norm(dim=1), left.norm(dim=1)], dim=1)
        return Walk(taken, chosen.long(), norms, torch.zeros_like(chosen))

    def _draw(self, logits: Float[Tensor, "n k"]) -> tuple[Float[Tensor, "n d"], Int[Tensor, " n"]]:
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
        self, logits: Float[Tensor, "n k"], chosen: Bool[Tensor, " n"]
    ) -> Float[Tensor, ""]:
        """Measure how far the scores are from uniform, in nats per site."""
        share = logits.softmax(dim=1)
        each = (share * (share * self.codebook_size + _TINY).log()).sum(dim=1)
        return torch.where(chosen, each, 0.0).sum() / chosen.sum().clamp(min=1)
