from dataclasses import replace

import pytest
import torch

from loopyvq.models.prior.attention import TransformerConfig
from loopyvq.models.prior.site_prior import SitePrior, SitePriorConfig
from loopyvq.tokens import CONTINUE, PAD, Tokens

SMALL = TransformerConfig(width=16, layers=2, heads=2)
CONFIG = SitePriorConfig(
    codebook_size=3, max_depth=2, rows=3, columns=3, transformer=SMALL, depth=SMALL
)


def _prior_of(**changes) -> SitePrior:
    torch.manual_seed(0)
    prior = SitePrior(replace(CONFIG, **changes)).eval()
    for parameter in prior.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.5)
    return prior


def _random_tokens(batch=3, grid=(3, 2), depth=2, size=3, least=0) -> Tokens:
    lengths = torch.randint(least, depth + 1, (batch, *grid))
    codes = torch.randint(-1, size, (batch, *grid, depth))
    codes = torch.where(codes < 0, CONTINUE, codes)
    return Tokens(
        torch.where(torch.arange(depth) < lengths.unsqueeze(3), codes, PAD), lengths
    ).validate(size)


@pytest.fixture
def prior_of():
    """Make small site priors with weights large enough to tell symbols apart."""
    return _prior_of


@pytest.fixture
def random_tokens():
    """Make tokens of every legal kind."""
    return _random_tokens
