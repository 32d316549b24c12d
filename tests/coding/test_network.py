import numpy as np
import pytest

from loopyvq.coding.network import Layer, Network


def random_layer(generator, outputs, inputs, shift):
    weights = generator.integers(-128, 128, (outputs, inputs)).astype(np.int8)
    bias = generator.integers(-(1 << 20), 1 << 20, outputs).astype(np.int32)
    return Layer(weights, bias, shift)


def by_hand(layer, row):
    sums = [
        sum(int(w) * int(x) for w, x in zip(weights, row, strict=True)) + int(bias)
        for weights, bias in zip(layer.weights, layer.bias, strict=True)
    ]
    return [(total + (1 << layer.shift >> 1)) >> layer.shift for total in sums]


@pytest.mark.parametrize(("inputs", "largest"), [(230, 2048), (70, 255), (600, 255)])
def test_products_are_those_of_whole_numbers(inputs, largest):
    generator = np.random.default_rng(inputs)
    layer = random_layer(generator, 7, inputs, 5)
    rows = generator.integers(-largest, largest + 1, (20, inputs))
    assert layer.apply(rows, largest).tolist() == [by_hand(layer, row) for row in rows]


def test_extremes_do_not_overflow():
    weights = np.full((1, 230), -128, np.int8)
    layer = Layer(weights, np.array([-(1 << 29)], np.int32), 0)
    inputs = np.full((1, 230), 2048, np.int16)
    assert layer.apply(inputs, 2048).tolist() == [[-(1 << 29) - 230 * 128 * 2048]]


def test_scores_do_not_depend_on_the_batch():
    generator = np.random.default_rng(1)
    network = Network(
        random_layer(generator, 8, 30, 7),
        random_layer(generator, 8, 8, 6),
        random_layer(generator, 50, 8, 2),
    )
    features = generator.integers(-500, 500, (64, 30)).astype(np.int16)
    together = network.scores(features)
    assert together.any()
    for row, alone in zip(together, features, strict=True):
        hidden = np.clip(by_hand(network.first, alone), 0, 255)
        hidden = np.clip(by_hand(network.second, hidden), 0, 255)
        assert by_hand(network.last, hidden) == row.tolist()
