"""How many tokens an image may spend in a training step, drawn anew for each.

One checkpoint serves every rate only if it has seen every rate. What is spread evenly matters: a
log-uniform threshold wastes half of the steps on images without tokens; drawing the *mean length*
evenly and asking the quantizer's length curve for the threshold does not.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from loopyvq.errors import ConfigError
from loopyvq.quantize import LoopQuantizer

__all__ = ["Budget", "BudgetConfig", "draw_budget", "fixed_budget"]


@dataclass(frozen=True)
class BudgetConfig:
    """What is drawn for each training image.

    Attributes:
        kind: ``mean_length``: a threshold at which sites have a mean length that is uniform in
            ``low..high``; ``log_uniform``: a threshold whose logarithm is uniform; ``depth``: a
            whole number of turns for all sites, each within ``low..high`` that the quantizer has
            as often, with no threshold (fixed-depth residual VQ); ``full``: no threshold, all
            turns.
        low: smallest mean length, threshold or depth.
        high: largest.
    """

    kind: Literal["mean_length", "log_uniform", "depth", "full"] = "mean_length"
    low: float = 0.3
    high: float = 6.0

    def __post_init__(self) -> None:
        """Check the range."""
        if not 0 < self.low <= self.high:
            raise ConfigError(f"budget needs 0 < low <= high, got {self.low} and {self.high}")
        if self.kind == "depth" and math.ceil(self.low) > self.high:
            raise ConfigError(
                f"budget.kind depth needs a whole number within low..high, got {self.low} and "
                f"{self.high}"
            )


class Budget(NamedTuple):
    """The stop rule of each image, ready for the quantizer.

    Attributes:
        threshold: ``b 1 1``, in units of the latents' scale.
        depth: ``b 1 1``, most turns.
    """

    threshold: Float[Tensor, "b 1 1"]
    depth: Int[Tensor, "b 1 1"]


def draw_budget(
    config: BudgetConfig, quantizer: LoopQuantizer, batch: int, generator: torch.Generator
) -> Budget:
    """Draw a budget for each image of a batch.

    Args:
        config: what to draw.
        quantizer: tells the thresholds of mean lengths.
        batch: number of images.
        generator: the source, on the CPU.

    Returns:
        One threshold and one depth per image.
    """
    device = quantizer.sigma.device
    share = torch.rand(batch, 1, 1, generator=generator).to(device)
    threshold = torch.zeros_like(share)
    depth = torch.full_like(share, quantizer.max_depth, dtype=torch.int64)
    if config.kind == "mean_length":
        threshold = quantizer.length_curve.threshold_for(torch.lerp(*_ends(config, share), share))
    elif config.kind == "log_uniform":
        low, high = _ends(config, share)
        threshold = torch.lerp(low.log(), high.log(), share).exp()
    elif config.kind == "depth":
        most = min(math.floor(config.high), quantizer.max_depth)
        least = min(math.ceil(config.low), most)
        depth = (least + share * (most + 1 - least)).long().clamp(max=most)
    return Budget(threshold, depth)


def fixed_budget(
    config: BudgetConfig, quantizer: LoopQuantizer, batch: int, mean_length: float
) -> Budget:
    """Give every image the same budget, of about this many tokens per site, for validation.

    Args:
        config: what training draws.
        quantizer: tells the thresholds of mean lengths.
        batch: number of images.
        mean_length: wanted tokens per site; rounded where depths are drawn, without effect where
            nothing is.

    Returns:
        The same threshold and depth for each image.
    """
    device = quantizer.sigma.device
    threshold = torch.zeros(batch, 1, 1, device=device)
    depth = torch.full((batch, 1, 1), quantizer.max_depth, device=device)
    if config.kind in ("mean_length", "log_uniform"):
        wanted = torch.full((batch, 1, 1), mean_length, device=device)
        threshold = quantizer.length_curve.threshold_for(wanted)
    elif config.kind == "depth":
        depth = torch.full((batch, 1, 1), max(1, round(mean_length)), device=device)
    return Budget(threshold, depth)


def _ends(config: BudgetConfig, like: Tensor) -> tuple[Tensor, Tensor]:
    return torch.full_like(like, config.low), torch.full_like(like, config.high)
