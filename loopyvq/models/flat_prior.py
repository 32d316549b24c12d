"""A transformer over flat sequences of symbols: what comes next, given all before."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from loopyvq.errors import ConfigError

__all__ = ["FlatPrior", "FlatPriorConfig", "KeyValueCache"]


@dataclass(frozen=True)
class FlatPriorConfig:
    """Sizes of the transformer.

    Attributes:
        vocabulary_size: number of symbols; conditions and codes share them.
        context_length: most symbols of a sequence.
        layers: number of blocks.
        heads: attention heads per block; a divisor of ``width``.
        width: width of the features.
        num_unmasked: positions at the start that see each other in both directions.
        embedding_dropout: share of the embeddings dropped while training.
        attention_dropout: share of the attention weights.
        residual_dropout: share of what a block adds.
    """

    vocabulary_size: int = 1024
    context_length: int = 512
    layers: int = 12
    heads: int = 8
    width: int = 256
    num_unmasked: int = 0
    embedding_dropout: float = 0.0
    attention_dropout: float = 0.0
    residual_dropout: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("vocabulary_size", "context_length", "layers", "heads", "width"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.width % self.heads:
            raise ConfigError(f"width {self.width} must be a multiple of heads {self.heads}")
        if not 0 <= self.num_unmasked <= self.context_length:
            raise ConfigError(
                f"num_unmasked must be within 0..{self.context_length}, got {self.num_unmasked}"
            )
        for name in ("embedding_dropout", "attention_dropout", "residual_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be within [0, 1), got {getattr(self, name)}")


class KeyValueCache:
    """Keys and values of the symbols seen so far, so that a further one costs one position.

    Args:
        prior: the transformer it is for.
        batch: number of sequences.
    """

    def __init__(self, prior: "FlatPrior", batch: int) -> None:
        config = prior.config
        size = (config.layers, 2, batch, config.heads, config.context_length)
        weight = prior.head.weight
        self.memory = weight.new_zeros(*size, config.width // config.heads)
        self.length = 0

    def extend(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store keys and values of new positions; give those of all positions."""
        end = self.length + key.shape[2]
        for row, new in enumerate((key, value)):
            self.memory[layer, row, :, :, self.length : end] = new
        return self.memory[layer, 0, :, :, :end], self.memory[layer, 1, :, :, :end]


class _Attention(nn.Module):
    def __init__(self, config: FlatPriorConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.dropout = config.attention_dropout
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)

    def forward(
        self, features: Tensor, mask: Tensor | None, cache: KeyValueCache | None, layer: int
    ) -> Tensor:
        split = self.qkv(features).unflatten(2, (3, self.heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        if cache is not None:
            key, value = cache.extend(layer, key, value)
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=dropout, is_causal=mask is None
        )
        merged: Tensor = self.out(attended.transpose(1, 2).flatten(2))
        return merged


class _Block(nn.Module):
    def __init__(self, config: FlatPriorConfig) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(config.width)
        self.attention = _Attention(config)
        self.norm_mlp = nn.LayerNorm(config.width)
        self.mlp = nn.Sequential(
            nn.Linear(config.width, 4 * config.width),
            nn.GELU(),
            nn.Linear(4 * config.width, config.width),
        )
        self.drop = nn.Dropout(config.residual_dropout)

    def forward(
        self, features: Tensor, mask: Tensor | None, cache: KeyValueCache | None, layer: int
    ) -> Tensor:
        attended = self.attention(self.norm_attention(features), mask, cache, layer)
        features = features + self.drop(attended)
        refined: Tensor = features + self.drop(self.mlp(self.norm_mlp(features)))
        return refined


class FlatPrior(nn.Module):
    """Predict the next symbol of flat sequences.

        symbols --embed, + position--> blocks: attention, mlp --norm--> logits of the next symbol

    Args:
        config: the sizes.

    Example:
        >>> prior = FlatPrior(FlatPriorConfig(vocabulary_size=5, width=8, heads=2, layers=1)).eval()
        >>> symbols = torch.tensor([[3, 1, 4]])
        >>> whole = prior(symbols)
        >>> cache = KeyValueCache(prior, batch=1)
        >>> parts = [prior(symbols[:, :2], cache), prior(symbols[:, 2:], cache)]
        >>> torch.allclose(whole, torch.cat(parts, dim=1), atol=1e-6)
        True
    """

    def __init__(self, config: FlatPriorConfig) -> None:
        super().__init__()
        self.config = config
        self.symbols = nn.Embedding(config.vocabulary_size, config.width)
        self.positions = nn.Parameter(torch.zeros(config.context_length, config.width))
        self.drop = nn.Dropout(config.embedding_dropout)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.vocabulary_size, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(
        self, symbols: Int[Tensor, "b t"], cache: KeyValueCache | None = None
    ) -> Float[Tensor, "b t v"]:
        """Give the logits of what follows every position.

        Args:
            symbols: within the vocabulary; with a cache only the new ones.
            cache: what was seen before; it takes in the new symbols. All unmasked positions must
                come at once.

        Returns:
            One row of logits per given symbol.

        Raises:
            ValueError: a symbol is out of range, or the sequence is too long.
        """
        before = cache.length if cache is not None else 0
        end = before + symbols.shape[1]
        self._check(symbols, end)
        features = self.drop(self.symbols(symbols) + self.positions[before:end])
        mask = self._mask(before, end, symbols.device)
        for layer, block in enumerate(self.blocks):
            features = block(features, mask, cache, layer)
        if cache is not None:
            cache.length = end
        logits: Tensor = self.head(self.norm(features))
        return logits

    def _mask(self, before: int, end: int, device: torch.device) -> Tensor | None:
        """Say which position sees which; None where all see what is before them."""
        unmasked = self.config.num_unmasked
        if before == 0 and unmasked < 2:
            return None
        seen = torch.arange(end, device=device)
        sees = seen[before:].unsqueeze(1)
        return (seen <= sees) | ((seen < unmasked) & (sees < unmasked))

    def _check(self, symbols: Tensor, end: int) -> None:
        most = self.config.context_length
        if end > most:
            raise ValueError(f"a sequence has at most {most} symbols, got {end}")
        size = self.config.vocabulary_size
        if symbols.numel() and (symbols.min() < 0 or symbols.max() >= size):
            raise ValueError(f"symbols must be within 0..{size - 1}")
