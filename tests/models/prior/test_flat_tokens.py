import itertools
from dataclasses import replace

import pytest
import torch

from loopyvq.conditions import Condition
from loopyvq.models.prior.attention import TransformerConfig
from loopyvq.models.prior.condition_embedding import ConditionConfig
from loopyvq.models.prior.flat_grammar import FLAT_SPELLINGS
from loopyvq.models.prior.flat_tokens import FlatTokensConfig, FlatTokensPrior
from loopyvq.models.prior.orders import ORDERS, site_order
from loopyvq.tokens import CONTINUE, PAD, Tokens

SIZES = FlatTokensConfig(
    codebook_size=4,
    max_depth=3,
    rows=4,
    columns=5,
    transformer=TransformerConfig(width=16, layers=2, heads=2),
    condition=ConditionConfig(classes=3, symbols=2, box_classes=2),
)


def prior_of(config: FlatTokensConfig = SIZES) -> FlatTokensPrior:
    torch.manual_seed(0)
    prior = FlatTokensPrior(config).eval()
    for parameter in prior.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return prior


def tokens_of(batch: int = 3, grid: tuple[int, int] = (3, 4), least: int = 0) -> Tokens:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(least, 4, (batch, *grid), generator=generator)
    codes = torch.randint(0, 4, (batch, *grid, 3), generator=generator)
    codes[torch.rand(codes.shape, generator=generator) < 0.3] = CONTINUE
    codes[torch.arange(3) >= lengths.unsqueeze(-1)] = PAD
    return Tokens(codes, lengths)


def pick(tokens: Tokens, image: int) -> Tokens:
    return Tokens(tokens.codes[image : image + 1], tokens.lengths[image : image + 1])


def every_site(codebook_size: int, max_depth: int, least: int) -> list[list[int]]:
    symbols = [*range(codebook_size), CONTINUE]
    found = [itertools.product(symbols, repeat=length) for length in range(least, max_depth + 1)]
    return [[*site, *[PAD] * (max_depth - len(site))] for sites in found for site in sites]


@pytest.mark.parametrize("spelling", FLAT_SPELLINGS)
@pytest.mark.parametrize("least", [0, 1, 2])
def test_the_probabilities_of_all_tokens_add_up_to_one(spelling, least):
    config = replace(SIZES, spelling=spelling, min_length=least, max_depth=2, codebook_size=2)
    sites = every_site(2, 2, least)
    codes = torch.tensor([*itertools.product(sites, repeat=2)]).unsqueeze(1)
    with torch.no_grad():
        nats = prior_of(config)(Tokens(codes, (codes != PAD).sum(-1)))
    assert (-nats.total.sum((1, 2))).exp().sum().item() == pytest.approx(1, abs=1e-4)
    assert min(item.min().item() for item in nats) > -1e-5
    if least == 2 and spelling == "flat":
        assert nats.stop.abs().max() < 1e-5  # what cannot be otherwise costs nothing


@pytest.mark.parametrize("spelling", FLAT_SPELLINGS)
def test_an_image_does_not_depend_on_its_neighbours(spelling):
    prior, tokens = prior_of(replace(SIZES, spelling=spelling)), tokens_of()
    condition = Condition(classes=torch.tensor([0, 2, 1]))
    together = prior(tokens, condition)
    for image in range(3):
        alone = prior(pick(tokens, image), condition.select(torch.tensor([image])))
        for whole, part in zip(together, alone, strict=True):
            assert torch.allclose(whole[image], part[0], atol=1e-5)


@pytest.mark.parametrize("order", ORDERS)
def test_a_site_depends_on_those_before_it_in_the_order(order):
    prior, tokens = prior_of(replace(SIZES, order=order)), tokens_of(1, least=2)
    sites = site_order(order, 3, 4)
    codes = tokens.codes.clone().flatten(1, 2)
    changed = sites[5]
    assert tokens.lengths.flatten(1)[0, changed] > 0
    kept = codes[0, changed]
    codes[0, changed] = torch.where(kept < 0, kept, (kept + 1) % 4)
    after = prior(Tokens(codes.unflatten(1, (3, 4)), tokens.lengths)).total
    moved = (after - prior(tokens).total).flatten().abs()[sites] > 1e-6
    assert not moved[:5].any()
    assert moved[5:].all()


@pytest.mark.parametrize("tied", [True, False])
def test_gradients_reach_every_parameter(tied):
    prior = prior_of(replace(SIZES, tied=tied, embedding_dropout=0.1)).train()
    condition = Condition(
        classes=torch.tensor([0, 1, 2]),
        symbols=torch.ones(3, 3, 4, dtype=torch.int64),
        boxes=torch.tensor([[[0, 1, 2, 3, 4]]]).expand(3, 1, 5),
    )
    prior(tokens_of(), condition, torch.tensor([True, False, False])).total.mean().backward()
    for name, parameter in prior.named_parameters():
        assert parameter.grad is not None, name
    assert ("head.weight" in prior.state_dict()) != tied


def test_conditions_matter_and_can_be_withheld():
    prior, tokens = prior_of(), tokens_of(2)
    one = prior(tokens, Condition(classes=torch.tensor([0, 1]))).total
    other = prior(tokens, Condition(classes=torch.tensor([0, 2]))).total
    assert torch.allclose(one[0], other[0], atol=1e-5)
    assert (one[1] - other[1]).abs().max() > 0.01
    withheld = prior(tokens, Condition(classes=torch.tensor([0, 2])), torch.tensor([True, True]))
    assert torch.allclose(withheld.total, prior(tokens).total, atol=1e-5)
    symbols = torch.zeros(2, 3, 4, dtype=torch.int64)
    symbols[0] = 1
    mapped = prior(tokens, Condition(symbols=symbols)).total
    plain = prior(tokens, Condition(symbols=0 * symbols)).total
    assert (mapped - plain).abs().amax((1, 2))[0] > 0.01
    assert torch.allclose(mapped[1], plain[1], atol=1e-5)


def test_a_prior_learns_what_it_sees():
    torch.manual_seed(0)
    small = replace(SIZES, spelling="run_length", condition=ConditionConfig())
    prior, tokens = FlatTokensPrior(small), tokens_of(2, (2, 2))
    optimizer = torch.optim.Adam(prior.parameters(), lr=0.02)
    for _ in range(30):
        loss = prior(tokens).total.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert prior(tokens).total.mean() < 0.7


def test_what_does_not_fit_says_why():
    prior = prior_of(replace(SIZES, min_length=1))
    with pytest.raises(ValueError, match="at least 1 tokens, one has 0"):
        prior(tokens_of())
    with pytest.raises(ValueError, match="up to 4 x 5 sites, got 5 x 4"):
        prior(tokens_of(grid=(5, 4), least=1))
    with pytest.raises(ValueError, match="depth 3"):
        prior(Tokens(*(item[0] for item in tokens_of())))
    with pytest.raises(ValueError, match="not trained with places"):
        prior(tokens_of(least=1), Condition(places=torch.zeros(3, 3, 4, 2)))
