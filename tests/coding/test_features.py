import numpy as np

from loopyvq.coding.features import FEATURE_UNIT, facts_of, features_of, num_features


def test_features_hold_the_parts_in_order():
    around, own = np.full((1, 2), 1, np.int16), np.array([[2, 3, 4, 64, 64, 0, 9]], np.int16)
    seen = features_of(around, own, np.array([[[16, 32], [48, 64]]]), 255, 9)
    assert seen[0, :9].tolist() == [1, 1, 2, 3, 4, 1, 2, 3, 4]
    assert seen[0, 9:].tolist() == [63, 128, 0, *[0] * 9, 64]


def test_facts_are_sum_length_and_state():
    sums = np.array([[3 << 12, -4 << 12], [600 << 12, 0]])
    facts = facts_of(sums, np.array([False, True]), np.array([2, 1]), 4).tolist()
    assert facts[0] == [3, -4, 2, FEATURE_UNIT, FEATURE_UNIT, 0, 32]
    assert facts[1] == [511, 0, 255, FEATURE_UNIT, FEATURE_UNIT, FEATURE_UNIT, 16]


def test_counts_its_features():
    around, own = np.zeros((1, 8 * 7), np.int16), np.zeros((1, 7), np.int16)
    seen = features_of(around, own, np.zeros((1, 2, 2), np.int64), 0, 0)
    assert seen.shape == (1, num_features(2))
