import pytest
import torch

from loopyvq.conditions import Condition
from loopyvq.errors import ConfigError
from loopyvq.models.prior.base import Prior, Request
from loopyvq.models.prior.condition_embedding import ConditionConfig
from loopyvq.models.prior.sampling import SamplingConfig
from loopyvq.models.prior.site_prior import SitePriorConfig
from loopyvq.tokens import CONTINUE, PAD, Tokens


@pytest.fixture(autouse=True)
def _without_gradients(request):
    with torch.set_grad_enabled("gradients" in request.node.name):
        yield


TOLD = {"neighbours": True}


def tokens_of(*sites: list[int], grid=(1, 1), depth=2) -> Tokens:
    """One image whose sites have these tokens."""
    codes = torch.tensor([site + [PAD] * (depth - len(site)) for site in sites])
    lengths = torch.tensor([len(site) for site in sites])
    return Tokens(codes.reshape(1, *grid, depth), lengths.reshape(1, *grid))


def all_sites(min_length: int) -> list[list[int]]:
    symbols = [0, 1, 2, CONTINUE]
    sites = [[], *([a] for a in symbols), *([a, b] for a in symbols for b in symbols)]
    return [site for site in sites if len(site) >= min_length]


@pytest.mark.parametrize("lengths", ["inside", "first"])
@pytest.mark.parametrize("min_length", [0, 1, 2])
def test_the_probabilities_of_all_sites_sum_to_one(prior_of, lengths, min_length):
    prior = prior_of(lengths=lengths, min_length=min_length)
    total = sum(
        float((-prior(tokens_of(site)).total.double()).exp()) for site in all_sites(min_length)
    )
    assert total == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("lengths", ["inside", "first"])
def test_the_stop_part_is_the_likelihood_of_the_lengths(prior_of, lengths):
    prior = prior_of(lengths=lengths)
    by_length = {0: 0.0, 1: 0.0, 2: 0.0}
    for site in all_sites(0):
        by_length[len(site)] += float((-prior(tokens_of(site)).total.double()).exp())
    empty = prior(tokens_of([]))
    assert float((-empty.stop).exp()) == pytest.approx(by_length[0], abs=1e-5)
    assert float(empty.code) == 0


@pytest.mark.parametrize("told", [{}, TOLD])
@pytest.mark.parametrize("lengths", ["inside", "first"])
def test_a_site_depends_on_earlier_sites_only(prior_of, random_tokens, lengths, told):
    prior = prior_of(lengths=lengths, **told)
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


def test_equal_lengths_together_or_apart_give_the_same(prior_of, random_tokens):
    prior = prior_of()
    tokens = random_tokens(batch=4)
    together = prior(tokens)
    for image in range(4):
        alone = prior(Tokens(tokens.codes[image : image + 1], tokens.lengths[image : image + 1]))
        assert torch.allclose(alone.total[0], together.total[image], atol=1e-5)


@pytest.mark.parametrize("told", [{}, TOLD])
@pytest.mark.parametrize("lengths", ["inside", "first"])
def test_what_is_drawn_follows_the_likelihood(prior_of, lengths, told):
    """Draw single sites many times and compare their shares with their probabilities."""
    prior = prior_of(lengths=lengths, **told)
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
def test_step_by_step_is_what_is_learned_at_once(prior_of, lengths, guidance):
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


def test_images_of_a_told_prior_follow_the_likelihood(prior_of):
    """Draw images of two by two sites; how often a first token comes is what the prior says."""
    prior = prior_of(**TOLD)
    generator = torch.Generator().manual_seed(0)
    drawn = prior.generate(Request((2, 2), 4000), SamplingConfig(), generator)
    nats = prior(drawn).total.flatten(1)
    # Entropy is the mean cost of what is drawn; costs of draws that do not fit would be higher.
    changed = drawn.codes.roll(1, dims=0), drawn.lengths.roll(1, dims=0)
    mixed = [torch.cat([a[:, :1], b[:, 1:]], 1) for a, b in zip(drawn, changed, strict=True)]
    assert float(prior(Tokens(*mixed)).total.flatten(1)[:, 2:].mean()) > float(nats[:, 2:].mean())


def assert_greedy(prior, drawn, condition):
    """At every turn the symbol has the largest logit; stopping, the larger odds."""
    context = prior.context(prior.embedding(*drawn), condition)
    codes, lengths = drawn.codes.flatten(0, 2), drawn.lengths.flatten()
    rows = prior.depth.context(context.flatten(0, 1))
    for row, site, length in zip(rows, codes, lengths.tolist(), strict=True):
        marked = torch.where(site < 0, 3, site)
        before = torch.cat([torch.zeros(1, 16), prior.depth.codes(marked[:1])])
        features = row + prior.depth.turns + before
        logits = (
            prior.depth.head(prior.depth.transformer(features.unsqueeze(0)))[0] + prior.depth.odds
        )
        for turn in range(length):
            assert int(logits[turn, :4].argmax()) == int(marked[turn])
            assert logits[turn, :4].logsumexp(0) >= logits[turn, 4]
        if length < 2:
            assert logits[length, 4] >= logits[length, :4].logsumexp(0)


def test_withheld_conditions_make_no_difference_and_others_do(prior_of, random_tokens):
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
def test_gradients_reach_every_parameter(prior_of, random_tokens, lengths):
    conditions = ConditionConfig(classes=4, symbols=5, places=True, box_classes=2, box_bins=8)
    prior = prior_of(lengths=lengths, condition=conditions, **TOLD).train()
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


def test_it_is_a_prior(prior_of):
    assert isinstance(prior_of(), Prior)


def test_what_does_not_fit_is_refused(prior_of):
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
        SitePriorConfig(**{"max_depth": 2, **changes})


def test_it_begins_with_the_odds_of_the_data(prior_of, random_tokens):
    counts = torch.tensor([[50, 10, 0, 0, 40], [5, 5, 40, 0, 10]])
    for lengths in ("inside", "first"):
        prior = prior_of(lengths=lengths)
        prior.start_from(counts)
        prior.depth.head.weight.zero_()
        shares = prior.depth.odds.softmax(dim=1)
        assert shares[0, 0] == pytest.approx(50 / (100 if lengths == "inside" else 60), abs=0.02)
        assert shares[1, 2] == pytest.approx(40 / (60 if lengths == "inside" else 50), abs=0.03)
    found = prior.lengths.head.bias.softmax(dim=0)
    assert found.tolist() == pytest.approx([0.4, 0.1, 0.5], abs=0.01)
