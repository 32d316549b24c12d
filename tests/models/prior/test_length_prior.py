import pytest
import torch

from loopyvq.conditions import Condition
from loopyvq.models.prior.attention import TransformerConfig
from loopyvq.models.prior.condition_embedding import ConditionConfig
from loopyvq.models.prior.length_prior import LengthPrior
from loopyvq.models.prior.sampling import SamplingConfig


def prior_of(min_length=0) -> LengthPrior:
    torch.manual_seed(0)
    sizes = TransformerConfig(width=16, layers=1, heads=2)
    return LengthPrior(min_length, 3, sizes, ConditionConfig(classes=2), rows=4, columns=4).eval()


@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("min_length", [0, 2])
def test_only_legal_lengths_have_a_probability(min_length, guidance):
    prior = prior_of(min_length)
    legal = [torch.full((1, 1, 1), length) for length in range(min_length, 4)]
    total = sum(float((-prior(lengths, Condition())).exp().detach()) for lengths in legal)
    assert total == pytest.approx(1, abs=1e-5)
    sampling = SamplingConfig(guidance=guidance)
    drawn = draw(prior, torch.rand(200, 16, dtype=torch.float64), sampling=sampling)
    assert (int(drawn.min()), int(drawn.max())) == (min_length, 3)


def draw(prior, uniform, mask=None, lengths=None, sampling=None):
    batch = len(uniform)
    if lengths is None:
        lengths = torch.zeros(batch, 4, 4, dtype=torch.int64)
        mask = torch.zeros(batch, 4, 4, dtype=torch.bool)
    with torch.no_grad():
        return prior.generate(lengths, mask, Condition(), sampling or SamplingConfig(), uniform)


def test_known_lengths_stay():
    prior = prior_of()
    known = torch.randint(0, 4, (5, 4, 4))
    mask = torch.rand(5, 4, 4) < 0.5
    drawn = draw(prior, torch.rand(5, 16, dtype=torch.float64), mask, known)
    assert torch.equal(drawn[mask], known[mask])
    assert not torch.equal(drawn, known)


def test_only_the_temperature_of_stopping_counts():
    prior, uniform = prior_of(), torch.rand(5, 16, dtype=torch.float64)
    plain = draw(prior, uniform)
    odd = SamplingConfig(temperature=9.0, stop_temperature=1.0, top_k=1, turn_temperatures=(9.0,))
    assert torch.equal(plain, draw(prior, uniform, sampling=odd))
