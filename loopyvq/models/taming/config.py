"""Sizes of taming's encoder and decoder."""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from loopyvq.config import require_numbers
from loopyvq.errors import ConfigError
from loopyvq.models.taming.layers import NORM_GROUPS
from loopyvq.quantize import LoopConfig
from loopyvq.quantize.gumbel import GumbelConfig

__all__ = ["TamingConfig", "plain_quantizer"]


def plain_quantizer(
    codebook_size: int, codebook_dim: int, legacy_weights: bool = True, beta: float = 0.25
) -> LoopConfig:
    """Give the loop that is taming's vector quantizer: one nearest code, learned by gradient.

    Args:
        codebook_size: number of codes.
        codebook_dim: their width.
        legacy_weights: whether ``beta`` weighs the codebook loss, as in all released models, and
            not the commitment, as in the paper.
        beta: the smaller of the two weights, 0 or more.

    Returns:
        The config. taming takes the mean over the width where the loop takes the sum, so the
        weights are divided by it: the loss is the same.
    """
    commitment, codebook = _loss_weights(codebook_dim, legacy_weights, beta)
    return LoopConfig(
        codebook_size=codebook_size,
        codebook_dim=codebook_dim,
        max_depth=1,
        threshold=0.0,
        scale="absolute",
        dummies=False,
        learn_gains=False,
        codebook_update="gradient",
        revive_below=0.0,
        start_iterations=0,
        commitment_weight=commitment,
        codebook_weight=codebook,
    )


def _loss_weights(width: int, legacy: bool, beta: float) -> tuple[float, float]:
    """Give the weights of commitment and codebook loss that mean what taming's mean."""
    commitment, codebook = (1.0, beta) if legacy else (beta, 1.0)
    return commitment / max(width, 1), codebook / max(width, 1)


@dataclass(frozen=True)
class TamingConfig:
    """Sizes of a tokenizer whose networks are those of taming-transformers.

    Attributes:
        image_channels: channels that go in and come out; with ``label_maps`` the number of labels.
        label_maps: whether it takes one-hot label maps (0 or 1) and gives logits, not images in
            [-1, 1].
        resolution: side of the training images in pixels; no size is refused because of it.
        base_channels: width that the multipliers multiply.
        multipliers: width of each level in units of ``base_channels``; every level after the first
            halves the resolution.
        blocks: residual blocks per level of the encoder; the decoder has one more.
        attention_levels: levels with self-attention after every block, 0 being full resolution.
        latent_channels: width between the networks and the two 1x1 convolutions around the loop.
        dropout: share of features dropped within a block while training.
        assignment: ``nearest`` code, or ``gumbel``: the one with the best learned score.
        quantizer: the loop; of absolute scale, as the networks know no other.
        loss_weights: ``legacy``: ``beta`` weighs the codebook loss, as in all released models;
            ``paper``: it weighs the commitment; either sets both weights of the quantizer, for its
            width. ``given``: they are what ``quantizer`` says.
        beta: the smaller of the two weights (legacy, paper).
        gumbel: options of the draw (gumbel).
    """

    image_channels: int = 3
    label_maps: bool = False
    resolution: int = 256
    base_channels: int = 128
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4)
    blocks: int = 2
    attention_levels: tuple[int, ...] = (4,)
    latent_channels: int = 256
    dropout: float = 0.0
    assignment: Literal["nearest", "gumbel"] = "nearest"
    quantizer: LoopConfig = field(default_factory=lambda: plain_quantizer(1024, 256))
    loss_weights: Literal["given", "legacy", "paper"] = "given"
    beta: float = 0.25
    gumbel: GumbelConfig = field(default_factory=GumbelConfig)

    def __post_init__(self) -> None:
        """Check the ranges."""
        sizes = (self.image_channels, self.resolution, self.latent_channels, self.blocks)
        if min(sizes) < 1 or not self.multipliers or min(self.multipliers) < 1:
            raise ConfigError(
                "image_channels, resolution, latent_channels, blocks and every multiplier must "
                "be at least 1"
            )
        if self.base_channels < 1 or self.base_channels % NORM_GROUPS:
            raise ConfigError(
                f"base_channels must be a multiple of {NORM_GROUPS}, got {self.base_channels}"
            )
        if any(not 0 <= level < len(self.multipliers) for level in self.attention_levels):
            raise ConfigError(
                f"attention_levels must be within 0..{len(self.multipliers) - 1}, "
                f"got {list(self.attention_levels)}"
            )
        require_numbers(self, "within [0, 1)", "dropout")
        if self.quantizer.scale != "absolute":
            raise ConfigError("these networks need a quantizer with scale = absolute")
        if not 0 <= self.beta < math.inf:
            raise ConfigError(f"beta must be 0 or more, got {self.beta}")
        if self.loss_weights != "given":
            width, legacy = self.quantizer.codebook_dim, self.loss_weights == "legacy"
            commitment, codebook = _loss_weights(width, legacy, self.beta)
            quantizer = replace(
                self.quantizer, commitment_weight=commitment, codebook_weight=codebook
            )
            object.__setattr__(self, "quantizer", quantizer)

    @property
    def downsampling(self) -> int:
        """Pixels per site along each side."""
        return int(2 ** (len(self.multipliers) - 1))

    @property
    def channels(self) -> tuple[int, ...]:
        """Width of each level."""
        return tuple(self.base_channels * multiplier for multiplier in self.multipliers)

    @property
    def encoder_blocks(self) -> int:
        """Residual blocks per level of the encoder."""
        return self.blocks

    @property
    def decoder_blocks(self) -> int:
        """Residual blocks per level of the decoder."""
        return self.blocks + 1

    @property
    def attention(self) -> bool:
        """Whether there is self-attention: always, at the coarsest level."""
        return True
