import numpy as np
import pytest
import torch

from loopyvq.codec.stakes import Aim, price_of_bit, stakes_of


@pytest.fixture
def asked(tokenizer):
    quantizer = tokenizer.quantizer
    latents = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return quantizer, latents, quantizer.encode(latents, 0.0, 2)


def test_a_bit_costs_in_proportion_to_the_squared_threshold():
    assert price_of_bit(0.4) == pytest.approx(4 * price_of_bit(0.2))


def test_of_sites_that_may_stop_every_error_stays(asked):
    quantizer, latents, start = asked
    stakes = stakes_of(quantizer, latents, start, 0.5, True, 1, None)
    assert stakes.keeps == [1.0] * quantizer.max_depth
    assert [stakes.may_stop_in(turn) for turn in (0, 1, 2)] == [False, True, True]
    assert (stakes.prices == 0.5).all()
    assert (stakes.metric == 1).all()
    assert stakes.vectors == pytest.approx((latents / quantizer.sigma).numpy(), rel=1e-6)


def test_of_fixed_lengths_later_turns_repair_some(asked):
    stakes = stakes_of(*asked, 0.5, False, 0, None)
    assert stakes.depth == 2
    assert 0 < stakes.keeps[0] < stakes.keeps[1] == 1
    assert not stakes.may_stop_in(1)


def test_importance_makes_bits_cheaper_and_no_price_is_without_end(asked):
    quantizer, latents, start = asked
    importance = np.array([[1.0, 2.0], [0.5, 1.0], [1.0, 1.0]])
    aim = Aim(latents, np.array([1.0, 2.0, 1.0, 1.0]), importance)
    stakes = stakes_of(quantizer, latents, start, 1.0, True, 0, aim)
    assert stakes.prices.tolist() == [[1.0, 0.5], [2.0, 1.0], [1.0, 1.0]]
    assert stakes.metric.tolist() == [1.0, 2.0, 1.0, 1.0]
    dear = stakes_of(quantizer, latents, start, 1e300, True, 0, aim)
    assert np.isfinite(dear.prices.astype(np.float32)).all()
