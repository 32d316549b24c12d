import pytest
import torch

from loopyvq.conditions import Condition
from loopyvq.models.prior.base import Request
from loopyvq.models.prior.flat_prior import FlatPriorConfig
from loopyvq.models.prior.sampling import SamplingConfig
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
    logits = prior.logits(condition, symbols)
    assert logits.shape == (2, 6, 9)
    changed = symbols.clone()
    changed[:, 3] = (changed[:, 3] + 1) % 9
    moved = (prior.logits(condition, changed) - logits).abs().amax(dim=(0, 2)) > 1e-6
    assert moved.tolist() == [False, False, False, False, True, True]


def test_extending_takes_the_likeliest_symbol():
    prior = prior_of(start_symbol=5)
    symbols = prior.symbols(tokens_of())[:, :2]
    assert prior.start(2).tolist() == [[5], [5]]
    extended = prior.extend(prior.start(2), symbols, 4)
    expected = symbols
    for _ in range(4):
        padded = torch.cat([expected, expected[:, :1]], dim=1)
        best = prior.logits(prior.start(2), padded)[:, -1:].argmax(dim=2)
        expected = torch.cat([expected, best], dim=1)
    assert torch.equal(extended, expected)
    assert torch.equal(prior.extend(prior.start(2), symbols, 0), symbols)


@pytest.mark.parametrize("sites", [0, 6])
def test_nats_are_those_of_the_logits(sites):
    prior = prior_of(permuted_sites=sites)
    if sites:
        prior.order.copy_(torch.tensor([0, 3, 1, 4, 2, 5]))
    tokens = tokens_of()
    symbols = prior.symbols(tokens)
    likely = prior.logits(prior.start(2), symbols).log_softmax(2)
    expected = -likely.gather(2, symbols.unsqueeze(2)).squeeze(2)
    nats = prior(tokens)
    back = prior.order.argsort() if sites else torch.arange(6)
    assert torch.allclose(nats.code.flatten(1), expected[:, back], atol=1e-5)
    assert not nats.stop.any()


@pytest.mark.parametrize("sites", [0, 6])
def test_images_are_drawn_around_what_is_known(sites):
    prior, told = prior_of(permuted_sites=sites), []
    if sites:
        prior.order.copy_(torch.tensor([0, 3, 1, 4, 2, 5]))
    request = Request((2, 3), 2)
    greedy = prior.generate(
        request,
        SamplingConfig(temperature=0.0),
        torch.Generator(),
        lambda done, tokens: told.append((done, tokens.num_tokens)),
    )
    assert told == [(count, 2 * count) for count in range(1, 7)]
    expected = prior.extend(prior.start(2), prior.symbols(greedy)[:, :0], 6)
    assert torch.equal(prior.symbols(greedy), expected)
    mask = torch.tensor([[[1, 1, 0], [1, 0, 1]], [[1, 1, 0], [1, 0, 0]]]).bool()
    kept = tokens_of()
    drawn = prior.generate(
        request._replace(known=kept, mask=mask), SamplingConfig(), torch.Generator().manual_seed(0)
    ).validate(9)
    assert torch.equal(drawn.codes[mask], kept.codes[mask])
    full = request._replace(known=kept, mask=torch.ones_like(mask))
    again = prior.generate(full, SamplingConfig(), torch.Generator())
    assert torch.equal(again.codes, kept.codes)


def test_every_condition_has_its_place():
    tokens, classes = tokens_of(), Condition(classes=torch.tensor([1, 2]))
    maps = Condition(symbols=torch.tensor([[[1, 2]], [[3, 4]]]))
    assert prior_of(condition="class").condition_symbols(classes, 2).tolist() == [[1], [2]]
    for kind in ("tokenizer", "first_stage", "tokens", "coordinates"):
        prior = prior_of(condition=kind)
        assert prior.condition_symbols(maps, 2).tolist() == [[1, 2], [3, 4]]
        assert prior(tokens, maps).total.shape == (2, 2, 3)
    with pytest.raises(ValueError, match="conditioned on classes, got nothing"):
        prior_of(condition="class")(tokens)
    with pytest.raises(ValueError, match="conditioned on nothing, got classes"):
        prior_of()(tokens, classes)
    with pytest.raises(ValueError, match="always has its condition"):
        prior_of()(tokens, None, torch.tensor([True, False]))
    for sampling in (SamplingConfig(guidance=2.0), SamplingConfig(length_budget=4)):
        with pytest.raises(ValueError, match="one token per site and cannot be guided"):
            prior_of().generate(Request((2, 2), 1), sampling, torch.Generator())


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
