"""A stack of attention and mlp blocks that reads one position after the other.

    features --[norm, attention, +; norm, mlp, +] x layers, norm--> features

Whoever calls it embeds its input and turns the output into logits. Keys and values of what was read
are kept in a `KeyValueCache`, so that a further position costs one position.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from loopyvq.config import require_numbers
from loopyvq.errors import ConfigError
from loopyvq.models.prior.cache import KeyValueCache
from loopyvq.models.prior.rotary import Rotary, rotate
from loopyvq.models.prior.step import step

__all__ = ["KeyValueCache", "Transformer", "TransformerConfig"]


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of the transformer.

    Attributes:
        width: width of the features.
        layers: number of blocks.
        heads: attention heads per block; a divisor of ``width``.
        norm: ``rms`` divides by the root mean square, ``layer`` also subtracts the mean.
        rotary: turn queries and keys by their position, so that only distances matter; without
            it the features must say where they stand.
        mlp_ratio: width within the mlp, as a multiple of ``width``.
        attention_dropout: share of the attention weights dropped while training.
        residual_dropout: share of what a block adds.
    """

    width: int = 256
    layers: int = 6
    heads: int = 8
    norm: Literal["layer", "rms"] = "rms"
    rotary: bool = False
    mlp_ratio: float = 4.0
    attention_dropout: float = 0.0
    residual_dropout: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_numbers(self, "at least 1", "width", "layers", "heads")
        if self.width % self.heads:
            raise ConfigError(f"width {self.width} must be a multiple of heads {self.heads}")
        if self.rotary and self.width // self.heads % 2:
            raise ConfigError(f"rotary needs an even head width, got {self.width // self.heads}")
        if not 1 <= self.mlp_ratio * self.width < math.inf:
            raise ConfigError(f"mlp_ratio must leave a width of at least 1, got {self.mlp_ratio}")
        require_numbers(self, "within [0, 1)", "attention_dropout", "residual_dropout")


def _norm(config: TransformerConfig) -> nn.Module:
    if config.norm == "layer":
        return nn.LayerNorm(config.width)
    return nn.RMSNorm(config.width, eps=1e-6)


class _Attention(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.dropout = config.attention_dropout
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)

    def forward(self, features: Tensor, reading: "_Reading", layer: int) -> Tensor:
        split = self.qkv(features).unflatten(2, (3, self.heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        if reading.rotary is not None:
            query, key = rotate(query, reading.rotary), rotate(key, reading.rotary)
        if reading.cache is not None:
            key, value = reading.cache.extend(layer, key, value)
        attended = reading.attend(query, key, value, self.dropout if self.training else 0.0)
        merged: Tensor = self.out(attended.transpose(1, 2).flatten(2))
        return merged


class _Block(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        inner = int(config.mlp_ratio * config.width)
        self.norm_attention = _norm(config)
        self.attention = _Attention(config)
        self.norm_mlp = _norm(config)
        self.mlp = nn.Sequential(
            nn.Linear(config.width, inner), nn.GELU(), nn.Linear(inner, config.width)
        )
        self.drop = nn.Dropout(config.residual_dropout)

    def forward(self, features: Tensor, reading: "_Reading", layer: int) -> Tensor:
        attended = self.attention(self.norm_attention(features), reading, layer)
        features = features + self.drop(attended)
        refined: Tensor = features + self.drop(self.mlp(self.norm_mlp(features)))
        return refined


class Transformer(nn.Module):
    """Read features position by position; each sees itself and what stands before it.

    Args:
        config: the sizes.

    Example:
        >>> config = TransformerConfig(width=8, heads=2, layers=1)
        >>> transformer = Transformer(config).eval()
        >>> features = torch.randn(1, 3, 8)
        >>> whole = transformer(features)
        >>> cache = KeyValueCache(config, batch=1, capacity=3)
        >>> parts = [transformer(part, cache) for part in features.split([2, 1], dim=1)]
        >>> torch.allclose(whole, torch.cat(parts, dim=1), atol=1e-6)
        True
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.norm = _norm(config)
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                adds = name.endswith(("attention.out", "mlp.2"))
                # What 2 * layers branches add up to should not grow with their number.
                nn.init.normal_(module.weight, std=0.02 / (2 * config.layers) ** (0.5 * adds))
                nn.init.zeros_(module.bias)

    def forward(
        self,
        features: Float[Tensor, "b t d"],
        cache: KeyValueCache | None = None,
        unmasked: int = 0,
        positions: Int[Tensor, " t"] | None = None,
        segments: Sequence[int] | None = None,
    ) -> Float[Tensor, "b t d"]:
        """Read features.

        Args:
            features: of every position; with a cache only of the new ones.
            cache: what was read before; it takes in the new positions. All unmasked positions must
                come at once.
            unmasked: positions at the start that also see each other in both directions.
            positions: the place that rotary takes each to stand at; by default they are counted
                from 0.
            segments: lengths of sequences that stand one after the other in place of one and do
                not see each other, so that nothing is padded; not with a cache. Those of equal
                length should be neighbours: they are attended to at once.

        Returns:
            Features of the given positions, normalized.

        Raises:
            ValueError: the cache is full, or the segments do not add up to the positions.
        """
        before, count = (cache.length if cache is not None else 0), features.shape[1]
        if cache is not None:
            cache.require(before + count)
        if segments is not None and (sum(segments) != count or cache is not None):
            raise ValueError(f"segments must add up to {count} positions, without a cache")
        rotary = self._rotary(before, count, positions, segments, features)
        if cache is not None and count == 1 and not torch.is_grad_enabled():
            return step(self, features, rotary, cache)
        reading = _Reading(before, unmasked, rotary, cache, segments)
        for layer, block in enumerate(self.blocks):
            features = block(features, reading, layer)
        if cache is not None:
            cache.length = before + count
        normalized: Tensor = self.norm(features)
        return normalized

    def _rotary(
        self,
        before: int,
        count: int,
        positions: Tensor | None,
        segments: Sequence[int] | None,
        features: Tensor,
    ) -> Rotary | None:
        if not self.config.rotary:
            return None
        if positions is None:
            ranges = [(before, before + count)] if segments is None else [(0, n) for n in segments]
            positions = torch.cat([torch.arange(*ends, device=features.device) for ends in ranges])
        return Rotary.at(positions, self.config.width // self.config.heads, features.dtype)


class _Reading(NamedTuple):
    """What all blocks need to know beside the features."""

    before: int
    unmasked: int
    rotary: Rotary | None
    cache: KeyValueCache | None
    segments: Sequence[int] | None

    def attend(self, query: Tensor, key: Tensor, value: Tensor, dropout: float) -> Tensor:
        if self.segments is None:
            return self._attend(query, key, value, dropout)
        if len(query) != 1:
            raise ValueError(f"segments must stand in one row, got {len(query)} rows")
        # Sequences of one length, b of them: 1 n (b t) d -> b n t d and back.
        runs = [(length, len(list(run))) for length, run in groupby(self.segments)]
        sizes = [length * number for length, number in runs]
        found = []
        split = (torch.split(x, sizes, dim=2) for x in (query, key, value))
        for (_, number), *parts in zip(runs, *split, strict=True):
            rows = [part[0].unflatten(1, (number, -1)).transpose(0, 1) for part in parts]
            attended = self._attend(rows[0], rows[1], rows[2], dropout)
            found.append(attended.transpose(0, 1).flatten(1, 2).unsqueeze(0))
        return torch.cat(found, dim=2)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, dropout: float) -> Tensor:
        mask = self._mask(query.shape[2], query.device)
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=dropout, is_causal=mask is None
        )

    def _mask(self, count: int, device: torch.device) -> Tensor | None:
        """Say which position sees which; None where all see what is before them from the start."""
        if self.before == 0 and self.unmasked < 2:
            return None
        seen = torch.arange(self.before + count, device=device)
        sees = seen[self.before :].unsqueeze(1)
        return (seen <= sees) | ((seen < self.unmasked) & (sees < self.unmasked))
