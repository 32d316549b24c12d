import math
from itertools import product

import pytest
import torch

from loopyvq.conditions import Condition
from loopyvq.models.prior.condition_embedding import ConditionConfig
from loopyvq.models.prior.site_weighing import priced_tokens
from loopyvq.tokens import CONTINUE, PAD, Tokens


def codes_of(turns=2, size=3, width=4):
    generator = torch.Generator().manual_seed(1)
    gains = 0.5 ** torch.arange(turns)
    return gains[:, None, None] * torch.randn(size, width, generator=generator)


def latents_of(*sites, width=4):
    return torch.randn(*sites, width, generator=torch.Generator().manual_seed(2))


def decoded(codes, tokens):
    """What tokens add up to."""
    ran = (tokens.codes >= 0).unsqueeze(-1)
    turns = torch.arange(tokens.max_depth)
    return (codes[turns, tokens.codes.clamp(min=0)] * ran).sum(dim=-2)


def costs(prior, codes, latents, tokens, price, condition=None, weights=1.0):
    """Squared error plus the price of all bits, site by site."""
    with torch.no_grad():
        nats = prior(tokens, condition).total
    errors = ((latents - decoded(codes, tokens)).square() * weights).sum(dim=3)
    return errors + price * nats / math.log(2)


@pytest.mark.parametrize("least", [0, 1])
@pytest.mark.parametrize("price", [0.01, 0.3, 3.0])
def test_the_only_turn_of_a_site_takes_the_cheapest_symbol(prior_of, price, least):
    """All that could be said at one site, by brute force."""
    prior = prior_of(max_depth=1, min_length=least)
    codes, latents = codes_of(turns=1), latents_of(5, 1, 1)
    found = priced_tokens(prior, codes, latents, torch.full((5, 1, 1), price)).validate(3)
    choices = [([PAD], 0)] * (least == 0) + [([code], 1) for code in (0, 1, 2, CONTINUE)]
    totals = []
    for symbols, length in choices:
        tokens = Tokens(torch.tensor(symbols).expand(5, 1, 1, 1), torch.full((5, 1, 1), length))
        totals.append(costs(prior, codes, latents, tokens, price).flatten())
    best = torch.stack(totals).argmin(dim=0)
    for image, choice in enumerate(best.tolist()):
        assert found.codes[image].flatten().tolist() == choices[choice][0]


def test_bits_are_those_of_what_was_chosen_before(prior_of):
    """The last site of an image, all others as they are: no other choice of one turn is cheaper."""
    prior = prior_of(max_depth=1, min_length=1)
    codes, latents, price = codes_of(turns=1), latents_of(6, 2, 2), 0.5
    found = priced_tokens(prior, codes, latents, torch.full((6, 2, 2), price))
    here = costs(prior, codes, latents, found, price)[:, 1, 1]
    for code in (0, 1, 2, CONTINUE):
        other = found.codes.clone()
        other[:, 1, 1] = code
        there = costs(prior, codes, latents, Tokens(other, found.lengths), price)[:, 1, 1]
        assert bool((here <= there + 1e-5).all())


def test_pricing_pays(prior_of):
    """Against the nearest codes, as many at every site."""
    prior = prior_of(condition=ConditionConfig(classes=4))
    condition = Condition(classes=torch.arange(4))
    codes, latents, price = codes_of(), latents_of(4, 3, 3), 0.4
    found = priced_tokens(prior, codes, latents, torch.full((4, 3, 3), price), condition)
    ours = costs(prior, codes, latents, found, price, condition).sum()
    for depth, told in product((0, 1, 2), (None, condition)):
        left, chosen = latents, []
        for turn in range(2):
            nearest = torch.cdist(left.flatten(0, 2), codes[turn]).argmin(dim=1).reshape(4, 3, 3)
            left = left - codes[turn][nearest]
            chosen.append(torch.where(torch.tensor(turn < depth), nearest, PAD))
        tokens = Tokens(torch.stack(chosen, dim=3), torch.full((4, 3, 3), depth))
        assert ours < costs(prior, codes, latents, tokens, price, told).sum()


def test_what_is_dear_is_not_said(prior_of):
    prior, latents, codes = prior_of(), latents_of(2, 3, 3), codes_of()
    torch.nn.init.constant_(prior.depth.odds[:, -1], 20.0)  # to stop is cheap
    price = torch.tensor([1e-4, 1.0]).reshape(2, 1, 1).expand(2, 3, 3)
    cheap, dear = priced_tokens(prior, codes, latents, price).lengths
    assert int(dear.sum()) == 0
    assert float(cheap.float().mean()) > 1


def test_a_metric_decides_what_an_error_is(prior_of):
    prior, latents, codes = prior_of(max_depth=1, min_length=1), latents_of(8, 1, 1), codes_of(1)
    weights = torch.zeros(8, 4) + 1e-6
    weights[:, 2] = 1.0
    price = torch.full((8, 1, 1), 1e-9)
    found = priced_tokens(prior, codes, latents, price, metric=weights, dummies=False)
    nearest = (latents[:, 0, 0, 2, None] - codes[0, :, 2]).abs().argmin(dim=1)
    assert torch.equal(found.codes.flatten(), nearest)


def test_a_loop_without_dummies_gets_none(prior_of):
    prior, codes = prior_of(max_depth=1, min_length=1), codes_of(1)
    nothing = torch.zeros(2, 2, 2, 4)
    price = torch.full((2, 2, 2), 1e-9)
    dummies, codes_only = (
        priced_tokens(prior, codes, nothing, price, dummies=dummies).codes
        for dummies in (True, False)
    )
    assert bool((dummies == CONTINUE).all())
    assert bool((codes_only >= 0).all())


def test_images_do_not_depend_on_their_batch(prior_of):
    prior, latents, codes = prior_of(neighbours=True), latents_of(4, 3, 2), codes_of()
    price = torch.rand(4, 3, 2, generator=torch.Generator().manual_seed(0))
    whole = priced_tokens(prior, codes, latents, price)
    for image in range(4):
        one = slice(image, image + 1)
        alone = priced_tokens(prior, codes, latents[one], price[one])
        assert torch.equal(alone.codes, whole.codes[one])


def test_what_does_not_fit_is_refused(prior_of):
    price = torch.ones(1, 3, 3)
    with pytest.raises(ValueError, match="lengths first"):
        priced_tokens(prior_of(lengths="first"), codes_of(), latents_of(1, 3, 3), price)
    with pytest.raises(ValueError, match="knows 2 turns of 3 codes, got 3 of 3"):
        priced_tokens(prior_of(), codes_of(3), latents_of(1, 3, 3), price)
    with pytest.raises(ValueError, match="4 x 3"):
        priced_tokens(prior_of(), codes_of(), latents_of(1, 4, 3), torch.ones(1, 4, 3))
    with pytest.raises(ValueError, match="not trained with classes"):
        priced_tokens(
            prior_of(), codes_of(), latents_of(1, 3, 3), price, Condition(classes=torch.tensor([0]))
        )
