"""Site-and-depth against flat tokens: the same transformer, the same distribution of lengths."""

import torch
from sizes import Sizes
from torch import nn

from loopyvq.models.prior.attention import TransformerConfig
from loopyvq.models.prior.base import Request
from loopyvq.models.prior.flat_tokens import FlatTokensConfig, FlatTokensPrior
from loopyvq.models.prior.sampling import SamplingConfig
from loopyvq.models.prior.site_prior import SitePrior, SitePriorConfig

MAX_DEPTH = 12


def transformer_of(sizes: Sizes) -> TransformerConfig:
    return TransformerConfig(width=sizes.width, layers=sizes.layers, heads=sizes.heads)


def site_prior(sizes: Sizes, mean: float) -> nn.Module:
    """Build a site-and-depth prior whose sites have ``mean`` tokens on average."""
    torch.manual_seed(0)
    side = round(sizes.codes**0.5)
    config = SitePriorConfig(
        codebook_size=sizes.vocabulary,
        max_depth=MAX_DEPTH,
        rows=side,
        columns=side,
        transformer=transformer_of(sizes),
    )
    prior = SitePrior(config).eval()
    nn.init.zeros_(prior.depth.head.weight)
    nn.init.zeros_(prior.depth.head.bias)
    codes = torch.tensor(float(sizes.vocabulary + 1))  # CONTINUE is one of them
    prior.depth.head.bias.data[-1] = codes.log() - going_odds(mean)
    return prior


def flat_prior(sizes: Sizes, mean: float, spelling: str) -> nn.Module:
    """Build a flat prior alike; its head knows only where in a site it stands."""
    torch.manual_seed(0)
    side = round(sizes.codes**0.5)
    config = FlatTokensConfig(
        codebook_size=sizes.vocabulary,
        max_depth=MAX_DEPTH,
        rows=side,
        columns=side,
        spelling=spelling,
        transformer=transformer_of(sizes),
    )
    prior = FlatTokensPrior(config).eval()
    nn.init.zeros_(prior.head.weight)
    # Where the last code itself ends a site, there is one choice less, and no site is empty.
    prior.logits = biased(prior, going_odds(mean - (spelling == "dummy")))
    return prior


def biased(prior: nn.Module, odds: float):
    """Add to the logits what gives a site that goes on these log odds."""
    ends, head = prior.grammar.ends, prior.logits
    shift = torch.where(ends, 0.0, odds + ends.sum().log() - (~ends).sum().log())
    return lambda seen: head(seen) + shift


def going_odds(mean: float) -> float:
    """Give the log odds of going on, at every turn, for a mean length (found by halving)."""
    low, high = 0.01, 0.999
    for _ in range(60):
        chance = (low + high) / 2
        found = sum(chance**turn for turn in range(1, MAX_DEPTH + 1))
        low, high = (chance, high) if found < mean else (low, chance)
    return float(torch.tensor(chance).logit())


def generate(prior: nn.Module, sizes: Sizes, batch: int) -> float:
    """Draw images; give the mean length."""
    side = round(sizes.codes**0.5)
    request = Request((side, side), batch)
    generator = torch.Generator().manual_seed(0)
    tokens = prior.generate(request, SamplingConfig(top_k=100), generator)
    return float(tokens.lengths.double().mean())
