import math

import pytest
import torch

from loopyvq.losses.rate import gaussian_rate_bits


def test_halving_the_error_costs_one_bit_per_dimension_far_above():
    latents = torch.full((1, 8), 100.0)
    coarse = gaussian_rate_bits(latents, torch.tensor([0.1]))
    fine = gaussian_rate_bits(latents, torch.tensor([0.05]))
    assert float(fine - coarse) == pytest.approx(8.0, rel=1e-3)  # one bit per dimension


def test_vectors_below_the_error_cost_nearly_nothing_and_energy_costs():
    latents = torch.tensor([[0.01, 0.0], [3.0, 4.0]])
    small, large = gaussian_rate_bits(latents, torch.tensor([1.0, 1.0]))
    assert small < 1e-3
    assert float(large) == pytest.approx(math.log2(26))


def test_its_gradient_shrinks_latents_and_more_so_where_tokens_are_dear():
    latents = torch.ones(2, 3, requires_grad=True)
    gaussian_rate_bits(latents, torch.tensor([0.1, 10.0])).sum().backward()
    assert (latents.grad > 0).all()
    assert (latents.grad[0] > 10 * latents.grad[1]).all()


def test_by_entry_energy_in_few_entries_costs_less():
    latents = torch.tensor([[4.0, 0.0, 0.0, 0.0], [2.0, 2.0, 2.0, 2.0]])
    together = gaussian_rate_bits(latents, torch.tensor([1.0, 1.0]))
    few, all_alike = gaussian_rate_bits(latents, torch.tensor([1.0, 1.0]), by_entry=True)
    assert float(together[0]) == float(together[1]) == pytest.approx(2 * math.log2(17))
    assert float(few) == pytest.approx(0.5 * math.log2(1 + 16 / 0.25))
    assert float(all_alike) == pytest.approx(float(together[1]))
