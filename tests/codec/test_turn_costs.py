import numpy as np
import pytest
import torch

from loopyvq.codec.turn_costs import TurnCosts
from loopyvq.coding.frequencies import frequencies_of_weights, weights_of_scores
from loopyvq.coding.range_coder import TOTAL
from tests.coding.formula import make_tables

NUM_AROUND = 56


@pytest.fixture
def network():
    return make_tables().networks[1]


@pytest.fixture
def costs(network):
    codes = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0], [-1.0, 0.0]])
    return TurnCosts(network, codes, np.array([1.0, 0.5]), 0.8, NUM_AROUND)


def nats_of(costs, features):
    return costs.nats(costs.hear(features[:, :NUM_AROUND]), features[:, NUM_AROUND:])


def test_symbols_cost_what_the_coder_says(network, costs):
    features = np.random.default_rng(0).integers(-64, 64, (40, 76)).astype(np.int16)
    weights = weights_of_scores(network.scores(features))
    expected = -np.log(frequencies_of_weights(weights) / TOTAL)
    nats = nats_of(costs, features)
    # Less than a hundredth of a bit, but for what the coder rounds up to its least frequency.
    assert np.abs(nats[:, :6].numpy() - expected)[expected < 9].max() < 0.05
    assert (nats[:, 6:] > 1000).all()


def test_the_image_makes_symbols_cheaper(costs):
    features = np.zeros((1, 76), np.int16)
    before = nats_of(costs, features)[0, :6]
    costs.correct(torch.tensor([4.0, 1.0, 1.0, 1.0, 1.0, 1.0]))
    after = nats_of(costs, features)[0, :6]
    assert (after - before)[0] < 0 < (after - before)[1]
    assert float((before - after)[0] + (after - before)[1]) == pytest.approx(np.log(4), abs=1e-4)
    assert float(torch.exp(-after).sum()) == pytest.approx(1.0, abs=1e-5)


def test_errors_are_weighed_and_partly_repaired_later(costs):
    left = torch.tensor([[1.0, 2.0]])
    assert costs.energy(left).tolist() == [3.0]
    errors = costs.errors(left)[0]
    assert errors[:5].tolist() == pytest.approx([1.6, 0.8, 0.4, 4.8, 2.4])
    assert errors[5:].isinf().all()
