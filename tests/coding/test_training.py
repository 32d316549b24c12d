import numpy as np
import pytest

from loopyvq.coding.frequencies import frequencies_of_weights, weights_of_scores
from loopyvq.coding.network import LARGEST_BIAS, LARGEST_SHIFT
from loopyvq.coding.range_coder import TOTAL
from loopyvq.coding.training import fit_network


def mean_bits(network, features, symbols):
    rows = frequencies_of_weights(weights_of_scores(network.scores(features)))
    return float(-np.log2(rows[np.arange(len(symbols)), symbols] / TOTAL).mean())


def examples(count, seed):
    """One of four symbols, told by the signs of two features, and one in ten at random."""
    generator = np.random.default_rng(seed)
    features = generator.integers(-200, 200, (count, 6)).astype(np.int16)
    symbols = (features[:, 0] > 0) * 2 + (features[:, 3] > 0)
    noise = generator.random(count) < 0.1
    return features, np.where(noise, generator.integers(0, 4, count), symbols)


def test_a_rounded_network_has_learned_what_tells_symbols():
    network = fit_network(*examples(6000, 0), 5, 16, 8, np.random.default_rng(0))
    # The entropy of the examples is 0.5 bits; without the features it is 2.
    assert mean_bits(network, *examples(2000, 1)) < 0.85


def test_rounded_layers_are_within_the_limits():
    features, symbols = examples(2000, 0)
    network = fit_network(features * 5, symbols, 4, 8, 4, np.random.default_rng(0))
    for layer in network:
        assert (layer.weights.dtype, layer.bias.dtype) == (np.int8, np.int32)
        assert np.abs(layer.weights.astype(int)).max() > 60
        assert 0 <= layer.shift <= LARGEST_SHIFT
        assert np.abs(layer.bias.astype(np.int64)).max() <= LARGEST_BIAS


@pytest.mark.parametrize("count", [0, 1, 3])
def test_few_examples_are_no_error(count):
    features, symbols = examples(count, 0)
    network = fit_network(features, symbols, 4, 8, 2, np.random.default_rng(0))
    assert network.scores(np.zeros((2, 6), np.int16)).shape == (2, 4)
