from dataclasses import replace

import pytest
import torch

from loopyvq.conditions import Condition
from loopyvq.errors import ConfigError
from loopyvq.models.prior.attention import TransformerConfig
from loopyvq.models.prior.base import Prior, Request
from loopyvq.models.prior.condition_embedding import ConditionConfig
from loopyvq.models.prior.sampling import SamplingConfig
from loopyvq.models.prior.site_prior import SitePrior, SitePriorConfig
from loopyvq.tokens import CONTINUE, PAD, Tokens


@pytest.fixture(autouse=True)
def _without_gradients(request):
    with torch.set_grad_enabled("gradients" in request.node.name):
        yield


SMALL = TransformerConfig(width=16, layers=2, heads=2)
CONFIG = SitePriorConfig(
    codebook_size=3, max_depth=2, rows=3, columns=3, transformer=SMALL, depth=SMALL
)


def prior_of(**changes) -> SitePrior:
    torch.manual_seed(0)
    prior = SitePrior(replace(CONFIG, **changes)).eval()
    for parameter in prior.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.5)
    return prior


def tokens_of(*sites: list[int], grid=(1, 1), depth=2) -> Tokens:
    """One image whose sites have these tokens."""
    codes = torch.tensor([site + [PAD] * (depth - len(site)) for site in sites])
    lengths = torch.tensor([len(site) for site in sites])
    return Tokens(codes.reshape(1, *grid, depth), lengths.reshape(1, *grid))


def random_tokens(batch=3, grid=(3, 2), depth=2, size=3, least=0) -> Tokens:
    lengths = torch.randint(least, depth + 1, (batch, *grid))
    codes = torch.randint(-1, size, (batch, *grid, depth))
    codes = torch.where(codes < 0, CONTINUE, codes)
    return Tokens(
        torch.where(torch.arange(depth) < lengths.unsqueeze(3), codes, PAD), lengths
    ).validate(size)


def all_sites(min_length: int) -> list[list[int]]:
    symbols = [0, 1, 2, CONTINUE]
    sites = [[], *([a] for a in symbols), *([a, b] for a in symbols for b in symbols)]
    return [site for site in sites if len(site) >= min_length]


@pytest.mark.parametrize("lengths", ["inside", "first"])
@pytest.mark.parametrize("min_length", [0, 1, 2])
def test_the_probabilities_of_all_sites_sum_to_one(lengths, min_length):
    prior = prior_of(lengths=lengths, min_length=min_length)
    total = sum(
        float((-prior(tokens_of(site)).total.double()).exp()) for site in all_sites(min_length)
    )
    assert total == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("lengths", ["inside", "first"])
def test_the_stop_part_is_the_likelihood_of_the_lengths(lengths):
    prior = prior_of(lengths=lengths)
    by_length = {0: 0.0, 1: 0.0, 2: 0.0}
    for site in all_sites(0):
        by_length[len(site)] += float((-prior(tokens_of(site)).total.double()).exp())
    empty = prior(tokens_of([]))
    assert float((-empty.stop).exp()) == pytest.approx(by_length[0], abs=1e-5)
    assert float(empty.code) == 0


@pytest.mark.parametrize("lengths", ["inside", "first"])
def test_a_site_depends_on_earlier_sites_only(lengths):
    prior = prior_of(lengths=lengths)
    tokens = random_tokens()
    before = prior(tokens)
    for site in range(6):
        changed = tokens.codes.clone().flatten(1, 2)
        has_codes = tokens.lengths.flatten(1)[:, site] > 0
        changed[has_codes, site, 0] = (changed[has_codes, site, 0].clamp(min=0) + 1) % 3
        after = prior(Tokens(changed.reshape(tokens.codes.shape), tokens.lengths))
        same = (before.total == after.total).flatten(1)
        close = (before.total - after.total).abs().flatten(1) < 1e-5
        assert bool(close[:, :site].all())
        if bool(has_codes.any()) and site < 5:
            assert not bool(same[has_codes, site + 1 :].all())


def test_equal_lengths_together_or_apart_give_the_same():
    prior = prior_of()
    tokens = random_tokens(batch=4)
    together = prior(tokens)
    for image in range(4):
        alone = prior(Tokens(tokens.codes[image : image + 1], tokens.lengths[image : image + 1]))
        assert torch.allclose(alone.total[0], together.total[image], atol=1e-5)


@pytest.mark.parametrize("lengths", ["inside", "first"])
def test_what_is_drawn_follows_the_likelihood(lengths):
    """Draw single sites many times and compare their shares with their probabilities."""
    prior = prior_of(lengths=lengths)
    count = 20_000
    generator = torch.Generator().manual_seed(0)
    drawn = prior.generate(Request((1, 1), count), SamplingConfig(), generator).validate(3)
    for site in all_sites(0):
        wanted = tokens_of(site)
        share = float((drawn.codes == wanted.codes).all(dim=3).double().mean())
        probability = float((-prior(wanted).total.double()).exp())
        assert share == pytest.approx(probability, abs=4 * (probability / count) ** 0.5 + 1e-3)


@pytest.mark.parametrize("lengths", ["inside", "first"])
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_step_by_step_is_what_is_learned_at_once(lengths, guidance):
    """Greedy draws are, site by site, the likeliest continuation of those before."""
    prior = prior_of(lengths=lengths, condition=ConditionConfig(classes=4))
    condition = Condition(classes=torch.tensor([1, 3]))
    request = Request((2, 3), 2, condition)
    greedy = SamplingConfig(temperature=0.0, guidance=guidance)
    drawn = prior.generate(request, greedy, torch.Generator().manual_seed(0)).validate(3)
    again = prior.generate(request, greedy, torch.Generator().manual_seed(1))
    assert torch.equal(drawn.codes, again.codes)
    if guidance == 1 and lengths == "inside":
        assert_greedy(prior, drawn, condition)


def assert_greedy(prior, drawn, condition):
    """At every turn the symbol has the largest logit; stopping, the larger odds."""
    context = prior.context(prior.embedding(*drawn), condition)
    codes, lengths = drawn.codes.flatten(0, 2), drawn.lengths.flatten()
    rows = prior.depth.context(context.flatten(0, 1))
    for row, site, length in zip(rows, codes, lengths.tolist(), strict=True):
        marked = torch.where(site < 0, 3, site)
        before = torch.cat([torch.zeros(1, 16), prior.depth.codes(marked[:1])])
        features = row + prior.depth.turns + before
        logits = prior.depth.head(prior.depth.transformer(features.unsqueeze(0)))[0]
        for turn in range(length):
            assert int(logits[turn, :4].argmax()) == int(marked[turn])
            assert logits[turn, :4].logsumexp(0) >= logits[turn, 4]
        if length < 2:
            assert logits[length, 4] >= logits[length, :4].logsumexp(0)


def test_images_do_not_depend_on_the_size_of_their_batch():
    prior = prior_of(condition=ConditionConfig(classes=4))
    condition = Condition(classes=torch.arange(4))
    generator = torch.Generator().manual_seed(7)
    whole = prior.generate(Request((3, 3), 4, condition), SamplingConfig(), generator)
    generator = torch.Generator().manual_seed(7)
    for image in range(4):
        one = condition.select(torch.tensor([image]))
        alone = prior.generate(Request((3, 3), 1, one), SamplingConfig(), generator)
        assert torch.equal(alone.codes[0], whole.codes[image])


@pytest.mark.parametrize("lengths", ["inside", "first"])
def test_known_sites_stay_and_others_follow(lengths):
    prior = prior_of(lengths=lengths)
    known = random_tokens(batch=2, grid=(3, 3))
    mask = torch.rand(2, 3, 3) < 0.5
    mask[:, 0] = True
    drawn = prior.generate(
        Request((3, 3), 2, None, known, mask), SamplingConfig(), torch.Generator()
    ).validate(3)
    assert torch.equal(drawn.codes[mask], known.codes[mask])
    assert not torch.equal(drawn.codes, known.codes)


def test_painted_lengths_are_followed():
    prior = prior_of(lengths="first")
    painted = torch.tensor([[[0, 1], [2, 0]]])
    request = Request((2, 2), 1, painted=painted)
    drawn = prior.generate(request, SamplingConfig(), torch.Generator()).validate(3)
    assert torch.equal(drawn.lengths, painted)
    with pytest.raises(ValueError, match=r"within 0\.\.2, got 1\.\.3"):
        prior.generate(request._replace(painted=painted + 1), SamplingConfig(), torch.Generator())
    with pytest.raises(ValueError, match='"first"'):
        prior_of().generate(request, SamplingConfig(), torch.Generator())


@pytest.mark.parametrize("min_length", [0, 1])
def test_a_budget_is_met(min_length):
    prior = prior_of(rows=16, columns=16, min_length=min_length, max_depth=8)
    for wanted in (400, 900, 1500):
        sampling = SamplingConfig(length_budget=wanted)
        drawn = prior.generate(Request((16, 16), 2), sampling, torch.Generator().manual_seed(1))
        spent = drawn.lengths.sum(dim=(1, 2))
        assert bool(((spent - wanted).abs() <= 0.05 * wanted + 8).all()), (wanted, spent)


def test_known_sites_are_part_of_the_budget():
    prior = prior_of(rows=16, columns=16, max_depth=8)
    known = random_tokens(batch=1, grid=(16, 16), depth=8)
    mask = torch.zeros(1, 16, 16, dtype=torch.bool)
    mask[:, :8] = True
    wanted = int(known.lengths[:, :8].sum()) + 100
    request = Request((16, 16), 1, None, known, mask)
    drawn = prior.generate(request, SamplingConfig(length_budget=wanted), torch.Generator())
    assert abs(drawn.num_tokens - wanted) <= 25


def test_progress_is_told_site_by_site():
    seen = []
    prior_of().generate(
        Request((2, 2), 1),
        SamplingConfig(),
        torch.Generator(),
        lambda done, tokens: seen.append((done, tokens.lengths.shape)),
    )
    assert seen == [(done, (1, 2, 2)) for done in range(1, 5)]


def test_withheld_conditions_make_no_difference_and_others_do():
    prior = prior_of(condition=ConditionConfig(classes=4, symbols=5))
    tokens = random_tokens(batch=2, grid=(2, 2))
    symbols = torch.randint(0, 5, (2, 4, 4))
    one = Condition(classes=torch.tensor([0, 1]), symbols=symbols)
    other = Condition(classes=torch.tensor([2, 3]), symbols=(symbols + 1) % 5)
    everyone = torch.ones(2, dtype=torch.bool)
    assert torch.equal(prior(tokens, one, everyone).total, prior(tokens, other, everyone).total)
    assert torch.equal(prior(tokens, one, everyone).total, prior(tokens).total)
    assert not torch.allclose(prior(tokens, one).total, prior(tokens, other).total)


@pytest.mark.parametrize("lengths", ["inside", "first"])
def test_gradients_reach_every_parameter(lengths):
    conditions = ConditionConfig(classes=4, symbols=5, places=True, box_classes=2, box_bins=8)
    prior = prior_of(lengths=lengths, condition=conditions).train()
    condition = Condition(
        torch.tensor([0, 1]),
        torch.randint(0, 5, (2, 6, 6)),
        torch.rand(2, 3, 3, 2),
        torch.tensor([[[0, 1, 2, 3, 4]], [[1, 0, 0, 7, 7]]]),
    )
    prior(random_tokens(batch=2, grid=(3, 3)), condition).total.sum().backward()
    for name, parameter in prior.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.any()), name


def test_it_is_a_prior():
    assert isinstance(prior_of(), Prior)


def test_what_does_not_fit_is_refused():
    prior = prior_of(min_length=1)
    with pytest.raises(ValueError, match="at least 1 tokens, one has 0"):
        prior(tokens_of([]))
    with pytest.raises(ValueError, match="depth 2"):
        prior(tokens_of([1], depth=3))
    with pytest.raises(ValueError, match=r"within 0\.\.2, got 5"):
        prior(tokens_of([5]))
    with pytest.raises(ValueError, match="sliding window"):
        prior.generate(Request((4, 3), 1), SamplingConfig(), torch.Generator())
    with pytest.raises(ValueError, match="not trained with classes"):
        prior(tokens_of([1]), Condition(classes=torch.tensor([0])))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_length": 3}, r"min_length must be within 0\.\.2, got 3"),
        ({"codebook_size": 0}, "codebook_size must be at least 1"),
        ({"rows": 0}, "rows must be at least 1"),
    ],
)
def test_bad_configs_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **changes)
