import pytest
import torch

from loopyvq.conditions import Condition
from loopyvq.models.prior.base import Request
from loopyvq.models.prior.condition_embedding import ConditionConfig
from loopyvq.models.prior.sampling import SamplingConfig


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.no_grad():
        yield


def test_images_do_not_depend_on_the_size_of_their_batch(prior_of):
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
def test_known_sites_stay_and_others_follow(prior_of, random_tokens, lengths):
    prior = prior_of(lengths=lengths)
    known = random_tokens(batch=2, grid=(3, 3))
    mask = torch.rand(2, 3, 3) < 0.5
    mask[:, 0] = True
    drawn = prior.generate(
        Request((3, 3), 2, None, known, mask), SamplingConfig(), torch.Generator()
    ).validate(3)
    assert torch.equal(drawn.codes[mask], known.codes[mask])
    assert not torch.equal(drawn.codes, known.codes)


def test_painted_lengths_are_followed(prior_of):
    prior = prior_of(lengths="first")
    painted = torch.tensor([[[0, 1], [2, 0]]])
    request = Request((2, 2), 1, painted=painted)
    drawn = prior.generate(request, SamplingConfig(), torch.Generator()).validate(3)
    assert torch.equal(drawn.lengths, painted)
    with pytest.raises(ValueError, match=r"within 0\.\.2, got 1\.\.3"):
        prior.generate(request._replace(painted=painted + 1), SamplingConfig(), torch.Generator())
    with pytest.raises(ValueError, match='"first"'):
        prior_of().generate(request, SamplingConfig(), torch.Generator())


@pytest.mark.parametrize("lengths", ["inside", "first"])
@pytest.mark.parametrize("min_length", [0, 1])
def test_a_budget_is_met(prior_of, min_length, lengths):
    prior = prior_of(rows=12, columns=12, min_length=min_length, max_depth=8, lengths=lengths)
    for wanted in (230, 850):
        sampling = SamplingConfig(length_budget=wanted)
        drawn = prior.generate(Request((12, 12), 2), sampling, torch.Generator().manual_seed(1))
        spent = drawn.lengths.sum(dim=(1, 2))
        assert bool(((spent - wanted).abs() <= 0.05 * wanted + 8).all()), (wanted, spent)


@pytest.mark.parametrize("lengths", ["inside", "first"])
def test_known_sites_are_part_of_the_budget(prior_of, random_tokens, lengths):
    prior = prior_of(rows=16, columns=16, max_depth=8, lengths=lengths)
    known = random_tokens(batch=1, grid=(16, 16), depth=8)
    mask = torch.zeros(1, 16, 16, dtype=torch.bool)
    mask[:, :8] = True
    wanted = int(known.lengths[:, :8].sum()) + 100
    request = Request((16, 16), 1, None, known, mask)
    drawn = prior.generate(request, SamplingConfig(length_budget=wanted), torch.Generator())
    assert abs(drawn.num_tokens - wanted) <= 25


def test_a_budget_with_nothing_to_choose_is_refused(prior_of):
    budget, request = SamplingConfig(length_budget=4), Request((2, 2), 1)
    with pytest.raises(ValueError, match="nothing where every site has 2"):
        prior_of(min_length=2).generate(request, budget, torch.Generator())
    painted = request._replace(painted=torch.ones(1, 2, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match="painted lengths leave nothing to a budget"):
        prior_of(lengths="first").generate(painted, budget, torch.Generator())


def test_progress_is_told_site_by_site(prior_of):
    seen = []
    prior_of().generate(
        Request((2, 2), 1),
        SamplingConfig(),
        torch.Generator(),
        lambda done, tokens: seen.append((done, tokens.lengths.shape)),
    )
    assert seen == [(done, (1, 2, 2)) for done in range(1, 5)]
