"""The optimizer, and the learning rate as a function of how far the training is."""

import math
from dataclasses import dataclass

import torch
from torch import nn

from loopyvq.config import require_numbers
from loopyvq.errors import ConfigError

__all__ = ["OptimConfig", "build_optimizer", "learning_rate_at"]


@dataclass(frozen=True)
class OptimConfig:
    """Options of AdamW and its schedule.

    Attributes:
        learning_rate: the highest.
        warmup_steps: steps of linear rise from 0.
        final_share: share of the highest rate that the cosine ends at.
        weight_decay: decay of convolution and linear weights; nothing else decays.
        betas: decay of the first and the second moment.
        clip_norm: largest norm of the gradient; 0 never clips.
    """

    learning_rate: float = 1e-3
    warmup_steps: int = 200
    final_share: float = 0.02
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_numbers(self, "above 0", "learning_rate")
        require_numbers(self, "0 or more", "warmup_steps", "weight_decay", "clip_norm")
        require_numbers(self, "within [0, 1]", "final_share")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"betas must be within [0, 1), got {self.betas}")


def build_optimizer(module: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """Build AdamW that decays the weights of convolutions and linear layers alone.

    Args:
        module: what to train.
        config: the options.

    Returns:
        The optimizer; its parameters stand in the module's order within two groups.
    """
    decayed = {
        id(layer.weight) for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)
    }
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if id(p) in decayed], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if id(p) not in decayed], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas)


def learning_rate_at(step: int, progress: float, config: OptimConfig) -> float:
    """Give the learning rate: linear warm-up, then half a cosine.

    Args:
        step: steps done so far.
        progress: share of the training that is done, in [0, 1].
        config: the options.

    Returns:
        The rate.

    Example:
        >>> learning_rate_at(1000, 1.0, OptimConfig(learning_rate=1.0, final_share=0.1))
        0.1
    """
    rise = min(1.0, (step + 1) / max(1, config.warmup_steps))
    wave = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return config.learning_rate * rise * (config.final_share + (1 - config.final_share) * wave)
