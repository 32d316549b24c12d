from dataclasses import replace

import pytest
import torch

from loopyvq.conditions import Condition
from loopyvq.models.prior.base import Request
from loopyvq.models.prior.flat_grammar import FLAT_SPELLINGS
from loopyvq.models.prior.sampling import SamplingConfig
from loopyvq.tokens import PAD, Tokens
from tests.models.prior.test_flat_tokens import SIZES, every_site, prior_of

GREEDY = SamplingConfig(temperature=0.0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def same(one: Tokens, other: Tokens) -> bool:
    return all(torch.equal(*pair) for pair in zip(one, other, strict=True))


@pytest.mark.parametrize("spelling", FLAT_SPELLINGS)
def test_tokens_are_drawn_as_often_as_they_are_likely(spelling):
    prior = prior_of(replace(SIZES, spelling=spelling, max_depth=2, codebook_size=2))
    codes = torch.tensor(every_site(2, 2, 0)).unsqueeze(1).unsqueeze(1)
    with torch.no_grad():
        expected = (-prior(Tokens(codes, (codes != PAD).sum(-1))).total).exp().flatten()
    drawn = prior.generate(Request((1, 1), 4000), SamplingConfig(), seeded())
    found = (drawn.codes.flatten(0, 2).unsqueeze(1) == codes.flatten(0, 2)).all(2)
    assert found.any(1).all()
    spread = 4 * (expected * (1 - expected) / 4000).sqrt()
    assert ((found.double().mean(0) - expected).abs() < spread + 1e-4).all()


@pytest.mark.parametrize("spelling", FLAT_SPELLINGS)
@pytest.mark.parametrize("least", [0, 2])
@pytest.mark.parametrize("order", ["raster", "spiral_in"])
def test_images_do_not_depend_on_their_batch(spelling, least, order):
    prior = prior_of(replace(SIZES, spelling=spelling, min_length=least, order=order))
    classes, sampling = torch.tensor([0, 1, 2, 0, 1]), SamplingConfig(guidance=1.5, top_p=0.9)
    request = Request((3, 2), 5, Condition(classes=classes))
    together = prior.generate(request, sampling, seeded()).validate(4)
    assert together.lengths.min() >= least
    generator, parts = seeded(), []
    for part in (classes[:2], classes[2:]):
        request = Request((3, 2), len(part), Condition(classes=part))
        parts.append(prior.generate(request, sampling, generator))
    assert same(together, Tokens(*(torch.cat(pair) for pair in zip(*parts, strict=True))))


@pytest.mark.parametrize("spelling", FLAT_SPELLINGS)
@pytest.mark.parametrize("order", ["raster", "alternate"])
@pytest.mark.parametrize("kept", ["first", "some", "one", "all", "none"])
def test_what_is_known_stays_and_the_rest_follows_from_it(spelling, order, kept):
    prior = prior_of(replace(SIZES, spelling=spelling, order=order))
    whole = prior.generate(Request((3, 4), 3), GREEDY, seeded())
    mask = torch.zeros(3, 3, 4, dtype=torch.bool)
    if kept == "first":
        mask[:, :2] = True  # as the images go on greedily, they become the same again
    elif kept == "some":
        mask = torch.rand(3, 3, 4, generator=seeded()) < 0.6
        mask[0, :2] = True
    elif kept == "one":
        mask[1] = True
    elif kept == "all":
        mask[:] = True
    request = Request((3, 4), 3, known=whole, mask=mask)
    assert same(prior.generate(request, GREEDY, seeded()), whole)
    other = Tokens(*(item.roll(1, 0) for item in whole))
    drawn = prior.generate(request._replace(known=other), SamplingConfig(), seeded(1)).validate(4)
    assert torch.equal(drawn.codes[mask], other.codes[mask])
    assert torch.equal(drawn.lengths[mask], other.lengths[mask])


def test_guidance_follows_the_condition():
    prior = prior_of()
    request = Request((3, 3), 2, Condition(classes=torch.tensor([0, 1])))
    plain = prior.generate(request, SamplingConfig(), seeded())
    strong = prior.generate(request, SamplingConfig(guidance=3.0), seeded())
    assert not same(plain, strong)
    none = prior.generate(request, SamplingConfig(guidance=0.0), seeded())
    assert same(none, prior.generate(request._replace(condition=None), SamplingConfig(), seeded()))


def test_known_sites_are_part_of_the_budget():
    prior = prior_of(replace(SIZES, rows=12, columns=12))
    known = prior.generate(Request((12, 12), 2), SamplingConfig(), seeded(1))
    mask = torch.zeros(2, 12, 12, dtype=torch.bool)
    mask[:, :6] = True
    wanted = int(known.lengths[:, :6].sum()) // 2 + 60
    request = Request((12, 12), 2, None, known, mask)
    drawn = prior.generate(request, SamplingConfig(length_budget=wanted), seeded())
    assert abs(drawn.num_tokens - 2 * wanted) <= 30


def test_a_budget_of_a_fixed_depth_is_refused():
    prior = prior_of(replace(SIZES, min_length=SIZES.max_depth))
    with pytest.raises(ValueError, match=f"nothing where every site has {SIZES.max_depth}"):
        prior.generate(Request((2, 2), 1), SamplingConfig(length_budget=4), seeded())


@pytest.mark.parametrize("spelling", FLAT_SPELLINGS)
def test_a_budget_is_kept_about(spelling):
    prior = prior_of(replace(SIZES, rows=8, columns=8, spelling=spelling))
    for budget in (20, 40, 130):
        drawn = prior.generate(Request((8, 8), 2), SamplingConfig(length_budget=budget), seeded())
        assert (drawn.lengths.sum((1, 2)) - budget).abs().max() <= 0.15 * budget


def test_stopping_has_its_own_temperature():
    prior = prior_of()
    request = Request((4, 4), 2)
    cold = prior.generate(request, SamplingConfig(stop_temperature=0.0), seeded())
    hot = prior.generate(request, SamplingConfig(stop_temperature=50.0), seeded())
    assert cold.lengths.unique().numel() < hot.lengths.unique().numel()
    turns = SamplingConfig(stop_temperature=0.0, turn_temperatures=(1e-6,))
    assert same(
        prior.generate(request, turns, seeded(1)), prior.generate(request, GREEDY, seeded(2))
    )


def test_unlikely_ends_are_left_out_as_unlikely_codes_are():
    prior, request = prior_of(), Request((4, 4), 2)
    likely = prior.generate(request, SamplingConfig(top_p=1e-6), seeded(1))
    assert same(likely, prior.generate(request, GREEDY, seeded(2)))


def test_it_tells_of_every_site():
    prior, told = prior_of(), []
    prior.generate(Request((2, 3), 4), SamplingConfig(), seeded(), lambda n, _: told.append(n))
    assert told == [1, 2, 3, 4, 5, 6]


def test_what_does_not_fit_says_why():
    prior = prior_of(replace(SIZES, min_length=1))
    with pytest.raises(ValueError, match="up to 4 x 5 sites"):
        prior.generate(Request((5, 5), 1), SamplingConfig(), seeded())
    lengths = torch.ones(1, 2, 2, dtype=torch.int64)
    with pytest.raises(ValueError, match="can only be painted"):
        prior.generate(Request((2, 2), 1, painted=lengths), SamplingConfig(), seeded())
    empty = Tokens(torch.full((1, 2, 2, 3), PAD), 0 * lengths)
    with pytest.raises(ValueError, match="at least 1 tokens"):
        prior.generate(
            Request((2, 2), 1, known=empty, mask=lengths.bool()), SamplingConfig(), seeded()
        )
