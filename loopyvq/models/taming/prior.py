"""taming's second stage: a flat prior over the codes of an image, after those of a condition."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from loopyvq.errors import ConfigError
from loopyvq.models.flat_prior import FlatPrior, FlatPriorConfig, KeyValueCache
from loopyvq.tokens import Tokens

__all__ = ["TamingPrior", "TamingPriorConfig"]


@dataclass(frozen=True)
class TamingPriorConfig:
    """What a sequence is made of.

    Attributes:
        condition: what stands before the codes: ``none``: one fixed symbol; ``class``: the number
            of a class; ``coordinates``: the place of every site in a larger image; ``tokenizer``:
            the codes that another tokenizer gives; ``first_stage``: those of the same tokenizer;
            ``tokens``: ready symbols.
        start_symbol: the fixed symbol (none).
        condition_codes: number of classes (class) or of places (coordinates); 0 where unknown.
        condition_downsampling: pixels per place along each side (coordinates).
        permuted_sites: sites of an image whose order is permuted; 0 keeps the order of reading.
        prior: the transformer.
    """

    condition: Literal["none", "class", "coordinates", "tokenizer", "first_stage", "tokens"] = (
        "none"
    )
    start_symbol: int = 0
    condition_codes: int = 0
    condition_downsampling: int = 16
    permuted_sites: int = 0
    prior: FlatPriorConfig = field(default_factory=FlatPriorConfig)

    def __post_init__(self) -> None:
        """Check the ranges."""
        if min(self.start_symbol, self.condition_codes, self.permuted_sites) < 0:
            raise ConfigError("start_symbol, condition_codes and permuted_sites must be 0 or more")
        if self.condition_downsampling < 1:
            raise ConfigError(
                f"condition_downsampling must be at least 1, got {self.condition_downsampling}"
            )


class TamingPrior(nn.Module):
    """Give the likelihood of an image's codes, and continue them.

        condition symbols, codes in order --FlatPrior--> logits of every code

    Args:
        config: what a sequence is made of.
    """

    order: Tensor

    def __init__(self, config: TamingPriorConfig) -> None:
        super().__init__()
        self.config = config
        self.prior = FlatPrior(config.prior)
        self.register_buffer("order", torch.arange(config.permuted_sites))

    def symbols(self, tokens: Tokens) -> Int[Tensor, "b t"]:
        """Put the codes of images into the order of the sequence.

        Args:
            tokens: one code per site, sites of shape ``b h w``.

        Returns:
            The codes as sequences.

        Raises:
            ValueError: a site has not exactly one code, or there are not ``permuted_sites`` sites.
        """
        if tokens.codes.ndim != 4 or tokens.codes.shape[3] != 1 or bool((tokens.codes < 0).any()):
            raise ValueError(
                f"sites must be b h w with one code each, got {tuple(tokens.codes.shape)}"
            )
        flat = tokens.codes.flatten(1)
        return flat[:, self.order] if self._permutes(flat.shape[1]) else flat

    def tokens(self, symbols: Int[Tensor, "b t"], grid: tuple[int, int]) -> Tokens:
        """Put sequences back onto a grid; the inverse of `symbols`.

        Args:
            symbols: one code per site.
            grid: sites along height and width.

        Returns:
            Tokens with sites of shape ``b h w``.

        Raises:
            ValueError: the number of symbols is not that of the sites.
        """
        if symbols.shape[1] != grid[0] * grid[1]:
            raise ValueError(f"{symbols.shape[1]} symbols do not fill {grid[0]} x {grid[1]} sites")
        flat = symbols[:, self.order.argsort()] if self._permutes(symbols.shape[1]) else symbols
        codes = flat.unflatten(1, grid).unsqueeze(3)
        return Tokens(codes, torch.ones_like(codes[..., 0]))

    def start(self, batch: int) -> Int[Tensor, "b 1"]:
        """Give the fixed symbol of an unconditional prior."""
        symbol = self.config.start_symbol
        return torch.full((batch, 1), symbol, device=self.order.device)

    def places(self, plane: Float[Tensor, "b 1 H W"]) -> Int[Tensor, "b t"]:
        """Turn a plane of places in [0, 1] into condition symbols.

        Args:
            plane: of every pixel its index in the larger image, divided by the number of pixels.

        Returns:
            One symbol per site.
        """
        mean = F.avg_pool2d(plane, self.config.condition_downsampling)
        return (self.config.condition_codes * mean.clamp(0, 1)).round().long().flatten(1)

    def forward(
        self, condition: Int[Tensor, "b s"], symbols: Int[Tensor, "b t"]
    ) -> Float[Tensor, "b t v"]:
        """Give the logits of every symbol, given the condition and the symbols before it.

        Args:
            condition: at least one symbol.
            symbols: codes in the order of the sequence, at least one.

        Returns:
            One row of logits per symbol, that of the symbol itself, not of the next one.

        Raises:
            ValueError: a symbol is out of range, or the sequence is too long.
        """
        logits = self.prior(torch.cat([condition, symbols], dim=1)[:, :-1])
        return logits[:, condition.shape[1] - 1 :]

    @torch.no_grad()
    def extend(
        self, condition: Int[Tensor, "b s"], symbols: Int[Tensor, "b t"], count: int
    ) -> Int[Tensor, "b t2"]:
        """Continue sequences with the likeliest symbol, one after the other.

        Args:
            condition: at least one symbol.
            symbols: the codes that are there, perhaps none.
            count: how many to add, 0 or more.

        Returns:
            The codes with those that were added.

        Raises:
            ValueError: a symbol is out of range, or the sequence would be too long.
        """
        cache = KeyValueCache(self.prior, len(symbols))
        fresh = torch.cat([condition, symbols], dim=1)
        for _ in range(count):
            fresh = self.prior(fresh, cache)[:, -1:].argmax(dim=2)
            symbols = torch.cat([symbols, fresh], dim=1)
        return symbols

    def _permutes(self, sites: int) -> bool:
        """Whether the order is permuted; the number of sites must then be the configured one."""
        expected = self.config.permuted_sites
        if expected and sites != expected:
            raise ValueError(f"the order is one of {expected} sites, got {sites}")
        return expected > 0
