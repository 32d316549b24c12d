from dataclasses import replace

import pytest
import torch

from loopyvq.errors import ConfigError
from loopyvq.models.prior.flat_prior import FlatPrior, FlatPriorConfig
from loopyvq.models.prior.sampling import SamplingConfig

SIZES = FlatPriorConfig(vocabulary_size=7, context_length=12, layers=2, heads=2, width=16)


def prior_of(config: FlatPriorConfig = SIZES) -> FlatPrior:
    torch.manual_seed(0)
    prior = FlatPrior(config).eval()
    torch.nn.init.normal_(prior.positions)
    for parameter in prior.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.4)
    return prior


@pytest.mark.parametrize("num_unmasked", [0, 3])
@pytest.mark.parametrize("pieces", [(3, 1, 1, 4), (9,), (4, 5)])
def test_a_cache_changes_nothing(num_unmasked, pieces):
    prior = prior_of(replace(SIZES, num_unmasked=num_unmasked))
    symbols = torch.randint(0, 7, (2, 9))
    cache = prior.cache(batch=2)
    parts = [prior(part, cache) for part in symbols.split(pieces, dim=1)]
    assert torch.allclose(torch.cat(parts, dim=1), prior(symbols), atol=1e-5)
    assert cache.length == 9


def test_a_symbol_depends_on_its_place_and_what_stands_before():
    prior = prior_of()
    symbols = torch.randint(0, 7, (1, 6))
    changed = symbols.clone()
    changed[:, 2] = (changed[:, 2] + 1) % 7
    moved = (prior(changed) - prior(symbols)).abs().amax(dim=(0, 2)) > 1e-6
    assert moved.tolist() == [False, False, True, True, True, True]
    same = prior(torch.full((1, 4), 3))
    assert (same[0, 1] - same[0, 2]).abs().max() > 0.01


def test_extending_takes_the_likeliest_or_draws():
    prior, start = prior_of(), torch.tensor([[1, 2], [3, 4]])
    expected = start
    for _ in range(10):
        best = prior(expected)[:, -1:].argmax(dim=2)
        expected = torch.cat([expected, best], dim=1)
    assert torch.equal(prior.extend(start, 10), expected)
    uniform = torch.rand(2, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(prior.extend(start, 10, SamplingConfig(temperature=0.0), uniform), expected)
    drawn = prior.extend(start, 10, SamplingConfig(temperature=3.0), uniform)
    assert not torch.equal(drawn, expected)
    alone = prior.extend(start[1:], 10, SamplingConfig(temperature=3.0), uniform[1:])
    assert torch.equal(drawn[1:], alone)
    assert torch.equal(prior.extend(start, 0), start)


def test_gradients_reach_every_parameter():
    prior = FlatPrior(replace(SIZES, residual_dropout=0.1, attention_dropout=0.1)).train()
    prior(torch.randint(0, 7, (2, 12))).square().sum().backward()
    for name, parameter in prior.named_parameters():
        assert parameter.grad is not None, name


def test_what_does_not_fit_says_why():
    prior = prior_of()
    with pytest.raises(ValueError, match="at most 12 symbols, got 13"):
        prior(torch.zeros(1, 13, dtype=torch.int64))
    cache = prior.cache(batch=1)
    prior(torch.zeros(1, 10, dtype=torch.int64), cache)
    with pytest.raises(ValueError, match="got 13"):
        prior(torch.zeros(1, 3, dtype=torch.int64), cache)
    for symbol in (-1, 7):
        with pytest.raises(ValueError, match=r"within 0\.\.6"):
            prior(torch.tensor([[symbol]]))
    start = torch.zeros(1, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match="1 x 4 uniform numbers"):
        prior.extend(start, 4, SamplingConfig())
    with pytest.raises(ValueError, match="got 13"):
        prior.extend(start, 11)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "layers must be at least 1"),
        ({"heads": 3}, "multiple of heads 3"),
        ({"num_unmasked": 13}, r"within 0\.\.12"),
        ({"context_length": 0}, "context_length must be at least 1"),
        ({"attention_dropout": 1.0}, "attention_dropout must be within"),
        ({"embedding_dropout": 1.0}, "embedding_dropout must be within"),
    ],
)
def test_sizes_that_cannot_be_say_why(changes, message):
    with pytest.raises(ConfigError, match=message):
        replace(SIZES, **changes)
