import pytest
import torch

from loopyvq.errors import ConfigError
from loopyvq.quantize import LoopConfig, LoopQuantizer
from loopyvq.training.budget import BudgetConfig, draw_budget, fixed_budget


@pytest.fixture(scope="module")
def quantizer() -> LoopQuantizer:
    generator = torch.Generator().manual_seed(0)
    energy = torch.randn(4000, 1, generator=generator).mul(0.6).exp()
    vectors = torch.randn(4000, 4, generator=generator) * energy
    loop = LoopConfig(codebook_size=32, codebook_dim=4, max_depth=8)
    return LoopQuantizer.fit(vectors, loop)


def test_mean_lengths_are_spread_evenly(quantizer):
    generator = torch.Generator().manual_seed(1)
    config = BudgetConfig(kind="mean_length", low=0.5, high=6.0)
    budget = draw_budget(config, quantizer, 400, generator)
    vectors = torch.randn(400, 30, 30, 4, generator=generator)
    vectors *= torch.randn(400, 30, 30, 1, generator=generator).mul(0.6).exp()
    lengths = quantizer.encode(vectors, budget.threshold).lengths.float().mean(dim=(1, 2))
    shares = torch.histc(lengths, bins=4, min=0.5, max=6.0) / 400
    assert shares.min() > 0.15
    assert (budget.depth == 8).all()


def test_log_uniform_thresholds_stay_in_range(quantizer):
    config = BudgetConfig(kind="log_uniform", low=0.1, high=0.9)
    budget = draw_budget(config, quantizer, 1000, torch.Generator().manual_seed(0))
    assert budget.threshold.min() >= 0.0999
    assert budget.threshold.max() <= 0.9001
    below = (budget.threshold < 0.3).float().mean()  # 0.3 is the middle of the logarithms
    assert 0.44 < below < 0.56


def test_depths_are_whole_numbers_from_low_to_high(quantizer):
    config = BudgetConfig(kind="depth", low=1.0, high=8.0)
    budget = draw_budget(config, quantizer, 1000, torch.Generator().manual_seed(0))
    assert sorted(budget.depth.unique().tolist()) == list(range(1, 9))
    assert (budget.threshold == 0).all()
    assert fixed_budget(config, quantizer, 3, 2.2).depth.flatten().tolist() == [2, 2, 2]


def test_depths_of_whole_ends_are_drawn_as_ever(quantizer):
    config = BudgetConfig(kind="depth", low=1.0, high=8.0)
    budget = draw_budget(config, quantizer, 1000, torch.Generator().manual_seed(0))
    share = torch.rand(1000, 1, 1, generator=torch.Generator().manual_seed(0))
    low, high = torch.full_like(share, 1.0), torch.full_like(share, 8.0)
    assert torch.equal(budget.depth, (low + share * (high + 1 - low)).long().clamp(max=8))


@pytest.mark.parametrize(
    ("ends", "depths"), [((0.3, 6.0), range(1, 7)), ((1.5, 30.0), range(2, 9)), ((20.0, 30.0), [8])]
)
def test_every_depth_that_there_is_comes_as_often(quantizer, ends, depths):
    config = BudgetConfig(kind="depth", low=ends[0], high=ends[1])
    budget = draw_budget(config, quantizer, 6000, torch.Generator().manual_seed(0))
    found, counts = budget.depth.unique(return_counts=True)
    assert found.tolist() == list(depths)
    assert counts.min() > 0.9 * 6000 / len(depths)


def test_a_range_of_depths_holds_one():
    with pytest.raises(ConfigError, match=r"whole number within low..high, got 1.2 and 1.8"):
        BudgetConfig(kind="depth", low=1.2, high=1.8)


def test_full_uses_every_turn(quantizer):
    config = BudgetConfig(kind="full")
    budget = draw_budget(config, quantizer, 3, torch.Generator().manual_seed(0))
    assert (budget.depth == 8).all()
    assert (budget.threshold == 0).all()
    assert (fixed_budget(config, quantizer, 2, 1.0).depth == 8).all()


def test_the_same_generator_draws_the_same(quantizer):
    first, second = (
        draw_budget(BudgetConfig(), quantizer, 5, torch.Generator().manual_seed(3))
        for _ in range(2)
    )
    assert torch.equal(first.threshold, second.threshold)


@pytest.mark.parametrize("ends", [(0.0, 1.0), (2.0, 1.0), (-1.0, 1.0)])
def test_a_range_must_be_one(ends):
    with pytest.raises(ConfigError, match="0 < low <= high"):
        BudgetConfig(low=ends[0], high=ends[1])
