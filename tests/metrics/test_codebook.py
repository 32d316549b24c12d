import math

import pytest
import torch

from loopyvq.metrics.codebook import measure_usage, spread_of_energies
from loopyvq.tokens import CONTINUE, PAD


def test_usage_of_an_example_by_hand():
    codes = torch.tensor([[0, CONTINUE, PAD], [0, 3, PAD], [1, PAD, PAD], [1, CONTINUE, PAD]])
    first, second, third = measure_usage(codes, 4)
    assert first == (4, 0.0, 0.5, pytest.approx(2.0))
    assert second == (3, pytest.approx(2 / 3), 0.25, pytest.approx(1.0))
    assert third == (0, 0.0, 0.0, 0.0)


def test_perplexity_is_the_exponential_of_the_entropy():
    codes = torch.tensor([0] * 6 + [1] * 3 + [2]).reshape(2, 5, 1)
    (turn,) = measure_usage(codes, 8)
    entropy = -sum(p * math.log(p) for p in (0.6, 0.3, 0.1))
    assert turn.perplexity == pytest.approx(math.exp(entropy))
    assert turn.usage == 3 / 8
    (even,) = measure_usage(torch.arange(8).reshape(8, 1), 8)
    assert even.perplexity == pytest.approx(8.0)


def test_only_dummies_have_no_perplexity():
    (turn,) = measure_usage(torch.full((5, 1), CONTINUE), 4)
    assert turn == (5, 1.0, 0.0, 0.0)


def test_no_sites_are_no_tokens():
    assert [turn.num_tokens for turn in measure_usage(torch.zeros(0, 3, dtype=int), 4)] == [0] * 3


def test_the_spread_is_that_of_the_log_norms():
    latents = torch.tensor([[3.0, 4.0], [0.0, 50.0]]).reshape(1, 2, 2)
    assert spread_of_energies(latents) == pytest.approx(math.log(10) / math.sqrt(2))


def test_directions_and_scale_do_not_spread():
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(50, 4, generator=generator))
    assert spread_of_energies(7 * directions) == pytest.approx(0.0, abs=1e-6)
    uneven = directions * torch.linspace(0.1, 2, 50).unsqueeze(1)
    assert spread_of_energies(uneven) == pytest.approx(spread_of_energies(9 * uneven))
    assert spread_of_energies(uneven) > 0.5
