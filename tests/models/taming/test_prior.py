import pytest
import torch

from loopyvq.errors import ConfigError
from loopyvq.models.flat_prior import FlatPriorConfig
from loopyvq.models.taming.prior import TamingPrior, TamingPriorConfig
from loopyvq.tokens import PAD, Tokens

SIZES = FlatPriorConfig(vocabulary_size=9, context_length=10, layers=2, heads=2, width=8)


def prior_of(**options) -> TamingPrior:
    torch.manual_seed(0)
    prior = TamingPrior(TamingPriorConfig(prior=SIZES, **options)).eval()
    for parameter in prior.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return prior


def tokens_of(batch: int = 2) -> Tokens:
    codes = torch.randint(0, 9, (batch, 2, 3, 1), generator=torch.Generator().manual_seed(1))
    return Tokens(codes, torch.ones_like(codes[..., 0]))


def test_the_order_inverts():
    prior = prior_of(permuted_sites=6)
    prior.order.copy_(torch.tensor([0, 3, 1, 4, 2, 5]))
    tokens = tokens_of()
    symbols = prior.symbols(tokens)
    assert symbols[0].tolist() == tokens.codes[0].flatten()[prior.order].tolist()
    assert torch.equal(prior.tokens(symbols, (2, 3)).codes, tokens.codes)
    plain = prior_of()
    assert torch.equal(plain.symbols(tokens), tokens.codes.flatten(1))
    assert torch.equal(plain.tokens(plain.symbols(tokens), (2, 3)).codes, tokens.codes)


def test_logits_are_those_of_each_symbol_given_all_before():
    prior = prior_of()
    condition, symbols = torch.tensor([[1, 2], [3, 4]]), prior_of().symbols(tokens_of())
    logits = prior(condition, symbols)
    assert logits.shape == (2, 6, 9)
    changed = symbols.clone()
    changed[:, 3] = (changed[:, 3] + 1) % 9
    moved = (prior(condition, changed) - logits).abs().amax(dim=(0, 2)) > 1e-6
    assert moved.tolist() == [False, False, False, False, True, True]


def test_extending_takes_the_likeliest_symbol():
    prior = prior_of(start_symbol=5)
    symbols = prior.symbols(tokens_of())[:, :2]
    assert prior.start(2).tolist() == [[5], [5]]
    extended = prior.extend(prior.start(2), symbols, 4)
    expected = symbols
    for _ in range(4):
        padded = torch.cat([expected, expected[:, :1]], dim=1)
        best = prior(prior.start(2), padded)[:, -1:].argmax(dim=2)
        expected = torch.cat([expected, best], dim=1)
    assert torch.equal(extended, expected)
    assert torch.equal(prior.extend(prior.start(2), symbols, 0), symbols)


def test_places_are_rounded_means():
    prior = prior_of(condition="coordinates", condition_codes=8, condition_downsampling=2)
    plane = torch.arange(16.0).reshape(1, 1, 4, 4) / 16
    assert prior.places(plane).tolist() == [[1, 2, 5, 6]]  # 2.5, 4.5, 10.5, 12.5 of 16


def test_what_does_not_fit_says_why():
    prior = prior_of(permuted_sites=4)
    with pytest.raises(ValueError, match="one of 4 sites, got 6"):
        prior.symbols(tokens_of())
    with pytest.raises(ValueError, match="do not fill"):
        prior.tokens(torch.zeros(1, 4, dtype=torch.int64), (2, 3))
    empty = Tokens(torch.full((1, 2, 2, 1), PAD), torch.zeros(1, 2, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match="one code each"):
        prior.symbols(empty)
    with pytest.raises(ValueError, match="at most 10 symbols"):
        prior.extend(prior.start(1), torch.zeros(1, 9, dtype=torch.int64), 2)
    with pytest.raises(ConfigError, match="0 or more"):
        TamingPriorConfig(start_symbol=-1)
    with pytest.raises(ConfigError, match="at least 1"):
        TamingPriorConfig(condition_downsampling=0)
