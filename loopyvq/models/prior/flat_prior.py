"""A transformer over flat sequences of symbols: what comes next, given all before."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loopyvq.config import require_numbers
from loopyvq.errors import ConfigError
from loopyvq.models.prior.attention import KeyValueCache, Transformer, TransformerConfig
from loopyvq.models.prior.sampling import SamplingConfig, draw

__all__ = ["FlatPrior", "FlatPriorConfig", "OnSymbol"]

OnSymbol = Callable[[int, Tensor], None]
"""Called with the number of symbols that are there and the sequences, ``b t``."""


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
        require_numbers(self, "at least 1", "vocabulary_size", "context_length")
        if not 0 <= self.num_unmasked <= self.context_length:
            raise ConfigError(
                f"num_unmasked must be within 0..{self.context_length}, got {self.num_unmasked}"
            )
        require_numbers(self, "within [0, 1)", "embedding_dropout")
        self.transformer  # noqa: B018  # checks the others

    @property
    def transformer(self) -> TransformerConfig:
        """The sizes of the blocks."""
        return TransformerConfig(
            width=self.width,
            layers=self.layers,
            heads=self.heads,
            norm="layer",
            attention_dropout=self.attention_dropout,
            residual_dropout=self.residual_dropout,
        )


class FlatPrior(nn.Module):
    """Predict the next symbol of flat sequences.

        symbols --embed, + position--> blocks: attention, mlp --norm--> logits of the next symbol

    Args:
        config: the sizes.

    Example:
        >>> prior = FlatPrior(FlatPriorConfig(vocabulary_size=5, width=8, heads=2, layers=1)).eval()
        >>> symbols = torch.tensor([[3, 1, 4]])
        >>> whole = prior(symbols)
        >>> cache = prior.cache(batch=1)
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
        self.transformer = Transformer(config.transformer)
        self.head = nn.Linear(config.width, config.vocabulary_size, bias=False)
        for module in (self.symbols, self.head):
            nn.init.normal_(module.weight, std=0.02)

    def cache(self, batch: int, capacity: int | None = None) -> KeyValueCache:
        """Make memory for sequences that grow.

        Args:
            batch: number of sequences.
            capacity: most symbols of each; None: ``context_length``.

        Returns:
            An empty cache.
        """
        weight = self.head.weight
        room = self.config.context_length if capacity is None else capacity
        return KeyValueCache(self.config.transformer, batch, room, weight.dtype, weight.device)

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
        self._check(symbols, before + symbols.shape[1])
        logits: Tensor = self.head(self._read(symbols, cache))
        return logits

    def extend(
        self,
        symbols: Int[Tensor, "b t"],
        count: int,
        sampling: SamplingConfig | None = None,
        uniform: Float[Tensor, "b n"] | None = None,
        known: Int[Tensor, "b n"] | None = None,
        on_symbol: OnSymbol | None = None,
        below: int | None = None,
    ) -> Int[Tensor, "b t2"]:
        """Continue sequences, one symbol after the other.

        Args:
            symbols: those that are there, at least one.
            count: how many to add, 0 or more.
            sampling: how to draw; None takes the likeliest.
            uniform: ``count`` numbers in [0, 1) per sequence, float64; needed to draw.
            known: ``count`` symbols per sequence to take as they are; negative where none is.
            on_symbol: told after every symbol.
            below: draw only symbols below this one; by default any.

        Returns:
            All symbols.

        Raises:
            ValueError: a symbol is out of range, the sequence would be too long, or the numbers
                are missing.
        """
        batch, given = symbols.shape
        self._check(symbols, given + max(0, count - 1))  # the last symbol is not read
        if sampling is not None and (uniform is None or uniform.shape != (batch, count)):
            raise ValueError(f"drawing needs {batch} x {count} uniform numbers")
        found = torch.cat([symbols, symbols.new_zeros(batch, count)], dim=1)
        with torch.inference_mode():
            cache, fresh = self.cache(batch, given + count), symbols
            for at in range(count):
                logits = self.head(self._read(fresh, cache)[:, -1])[:, :below]
                if sampling is None or uniform is None:
                    chosen = logits.argmax(dim=1)
                else:
                    chosen = draw(logits, sampling, uniform[:, at])
                if known is not None:
                    chosen = torch.where(known[:, at] < 0, chosen, known[:, at])
                found[:, given + at] = chosen
                if on_symbol is not None:
                    on_symbol(given + at + 1, found)
                fresh = chosen.unsqueeze(1)
        return found

    def _read(self, symbols: Tensor, cache: KeyValueCache | None) -> Tensor:
        before = cache.length if cache is not None else 0
        positions = self.positions[before : before + symbols.shape[1]]
        features = self.drop(self.symbols(symbols) + positions)
        seen: Tensor = self.transformer(features, cache, unmasked=self.config.num_unmasked)
        return seen

    def _check(self, symbols: Tensor, end: int) -> None:
        most = self.config.context_length
        if end > most:
            raise ValueError(f"a sequence has at most {most} symbols, got {end}")
        size = self.config.vocabulary_size
        if symbols.numel() and (symbols.min() < 0 or symbols.max() >= size):
            raise ValueError(f"symbols must be within 0..{size - 1}")
