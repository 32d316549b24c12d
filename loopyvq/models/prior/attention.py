"""A stack of attention and mlp blocks that reads one position after the other.

    features --[norm, attention, +; norm, mlp, +] x layers, norm--> features

Whoever calls it embeds its input and turns the output into logits. Keys and values of what was read
are kept in a `KeyValueCache`, so that a further position costs one position.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

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
        for name in ("width", "layers", "heads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.width % self.heads:
            raise ConfigError(f"width {self.width} must be a multiple of heads {self.heads}")
        if self.rotary and self.width // self.heads % 2:
            raise ConfigError(f"rotary needs an even head width, got {self.width // self.heads}")
        if self.mlp_ratio * self.width < 1:
            raise ConfigError(f"mlp_ratio must leave a width of at least 1, got {self.mlp_ratio}")
        for name in ("attention_dropout", "residual_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be within [0, 1), got {getattr(self, name)}")


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

    def forward(
        self,
        features: Tensor,
        mask: Tensor | None,
        rotary: Rotary | None,
        cache: KeyValueCache | None,
        layer: int,
    ) -> Tensor:
        split = self.qkv(features).unflatten(2, (3, self.heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        if rotary is not None:
            query, key = rotate(query, rotary), rotate(key, rotary)
        if cache is not None:
            key, value = cache.extend(layer, key, value)
        attended = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=mask is None,
        )
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

    def forward(
        self,
        features: Tensor,
        mask: Tensor | None,
        rotary: Rotary | None,
        cache: KeyValueCache | None,
        layer: int,
    ) -> Tensor:
        attended = self.attention(self.norm_attention(features), mask, rotary, cache, layer)
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
        mask: Bool[Tensor, "..."] | None = None,
        unmasked: int = 0,
        positions: Int[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "b t d"]:
        """Read features.

        Args:
            features: of every position; with a cache only of the new ones.
            cache: what was read before; it takes in the new positions. All unmasked positions must
                come at once.
            mask: ``t s`` or ``b t s``: which position sees which of all that were read; one that
                sees none is not allowed. Without it, each sees itself and those before.
            unmasked: positions at the start that also see each other in both directions.
            positions: ``t`` or ``b t``: the place that rotary takes each to stand at; by default
                they are counted from 0.

        Returns:
            Features of the given positions, normalized.

        Raises:
            ValueError: the cache is full.
        """
        before, count = (cache.length if cache is not None else 0), features.shape[1]
        if cache is not None:
            cache.require(before + count)
        rotary = self._rotary(before, count, positions, features)
        if cache is not None and count == 1 and mask is None and not torch.is_grad_enabled():
            return step(self, features, rotary, cache)
        seen = _mask(before, before + count, unmasked, features.device) if mask is None else mask
        if seen is not None and seen.ndim == 3:
            seen = seen.unsqueeze(1)
        for layer, block in enumerate(self.blocks):
            features = block(features, seen, rotary, cache, layer)
        if cache is not None:
            cache.length = before + count
        normalized: Tensor = self.norm(features)
        return normalized

    def _rotary(
        self, before: int, count: int, positions: Tensor | None, features: Tensor
    ) -> Rotary | None:
        if not self.config.rotary:
            return None
        if positions is None:
            positions = torch.arange(before, before + count, device=features.device)
        return Rotary.at(positions, self.config.width // self.config.heads, features.dtype)


def _mask(before: int, end: int, unmasked: int, device: torch.device) -> Tensor | None:
    """Say which position sees which; None where all see what is before them, from the start on."""
    if before == 0 and unmasked < 2:
        return None
    seen = torch.arange(end, device=device)
    sees = seen[before:].unsqueeze(1)
    return (seen <= sees) | ((seen < unmasked) & (sees < unmasked))
