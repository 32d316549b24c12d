from dataclasses import replace

import pytest
import torch

from loopyvq.errors import ConfigError
from loopyvq.models.flat_prior import FlatPrior, FlatPriorConfig, KeyValueCache

SIZES = FlatPriorConfig(vocabulary_size=7, context_length=12, layers=2, heads=2, width=16)


def prior_of(config: FlatPriorConfig = SIZES) -> FlatPrior:
    torch.manual_seed(0)
    prior = FlatPrior(config).eval()
    torch.nn.init.normal_(prior.positions)
    for parameter in prior.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.4)
    return prior


def reference(prior: FlatPrior, symbols: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The textbook transformer, one head at a time."""
    features = prior.symbols(symbols) + prior.positions[: symbols.shape[1]]
    for block in prior.blocks:
        query, key, value = block.attention.qkv(block.norm_attention(features)).chunk(3, dim=2)
        heads = []
        for q, k, v in zip(query.chunk(2, 2), key.chunk(2, 2), value.chunk(2, 2), strict=True):
            scores = (q @ k.transpose(1, 2)) / q.shape[2] ** 0.5
            heads.append(scores.masked_fill(~mask, -torch.inf).softmax(dim=2) @ v)
        features = features + block.attention.out(torch.cat(heads, dim=2))
        features = features + block.mlp(block.norm_mlp(features))
    return prior.head(prior.norm(features))


@pytest.mark.parametrize("num_unmasked", [0, 1, 4, 12])
def test_it_is_the_textbook_transformer(num_unmasked):
    prior = prior_of(replace(SIZES, num_unmasked=num_unmasked))
    symbols = torch.randint(0, 7, (3, 9))
    mask = torch.ones(12, 12, dtype=torch.bool).tril()
    mask[:num_unmasked, :num_unmasked] = True
    expected = reference(prior, symbols, mask[:9, :9])
    assert torch.allclose(prior(symbols), expected, atol=1e-4)


@pytest.mark.parametrize("num_unmasked", [0, 3])
@pytest.mark.parametrize("pieces", [(3, 1, 1, 4), (9,), (4, 5)])
def test_a_cache_changes_nothing(num_unmasked, pieces):
    prior = prior_of(replace(SIZES, num_unmasked=num_unmasked))
    symbols = torch.randint(0, 7, (2, 9))
    cache = KeyValueCache(prior, batch=2)
    parts = [prior(part, cache) for part in symbols.split(pieces, dim=1)]
    assert torch.allclose(torch.cat(parts, dim=1), prior(symbols), atol=1e-5)
    assert cache.length == 9


def test_gradients_reach_every_parameter():
    prior = FlatPrior(replace(SIZES, residual_dropout=0.1, attention_dropout=0.1)).train()
    prior(torch.randint(0, 7, (2, 12))).square().sum().backward()
    for name, parameter in prior.named_parameters():
        assert parameter.grad is not None, name


def test_what_does_not_fit_says_why():
    prior = prior_of()
    with pytest.raises(ValueError, match="at most 12 symbols, got 13"):
        prior(torch.zeros(1, 13, dtype=torch.int64))
    cache = KeyValueCache(prior, batch=1)
    prior(torch.zeros(1, 10, dtype=torch.int64), cache)
    with pytest.raises(ValueError, match="got 13"):
        prior(torch.zeros(1, 3, dtype=torch.int64), cache)
    for symbol in (-1, 7):
        with pytest.raises(ValueError, match=r"within 0\.\.6"):
            prior(torch.tensor([[symbol]]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "layers must be at least 1"),
        ({"heads": 3}, "multiple of heads 3"),
        ({"num_unmasked": 13}, r"within 0\.\.12"),
        ({"attention_dropout": 1.0}, "attention_dropout must be within"),
    ],
)
def test_sizes_that_cannot_be_say_why(changes, message):
    with pytest.raises(ConfigError, match=message):
        replace(SIZES, **changes)
