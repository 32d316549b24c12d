import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.coding.frequencies import frequencies_of_weights, weights_of_scores
from loopyvq.coding.range_coder import TOTAL


@given(st.lists(st.integers(0, 1 << 40), min_size=1, max_size=200).filter(any))
@settings(max_examples=200, deadline=None)
def test_shares_add_up_and_none_is_zero(weights):
    frequencies = frequencies_of_weights(np.array(weights))
    assert frequencies.sum() == TOTAL
    assert frequencies.min() >= 1
    ideal = np.array(weights) / sum(weights) * (TOTAL - len(weights)) + 1
    # The reciprocal has 24 bits more than the total.
    allowed = 2 + ideal * sum(weights) / (1 << 48)
    assert (np.abs(frequencies - ideal) <= allowed)[frequencies != frequencies.max()].all()


def test_each_row_is_shared_out_alone():
    weights = np.array([[3, 1, 0], [7, 7, 7]])
    rows = frequencies_of_weights(weights)
    for row, alone in zip(rows, weights, strict=True):
        assert np.array_equal(row, frequencies_of_weights(alone))
    assert rows[1].tolist() == [5592406, 5592405, 5592405]


def test_a_score_of_256_more_is_twice_the_weight():
    weights = weights_of_scores(np.array([[0, 256, 512, -(10**9), 511]]))
    assert weights.tolist() == [[1 << 18, 1 << 19, 1 << 20, 1, 1045740]]


@pytest.mark.parametrize("below", [0, 1, 77, 256, 1000, 5119])
def test_powers_are_rounded_down_exactly(below):
    weight = int(weights_of_scores(np.array([[0, -below]]))[0, 1])
    power = 1 << (20 * 256 - below)
    assert weight**256 <= power < (weight + 1) ** 256
