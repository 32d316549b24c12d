import numpy as np
import pytest

from loopyvq.coding import encode_tokens
from loopyvq.coding.order_zero import Counts, growing_blocks
from tests.coding.conftest import make_tokens


@pytest.mark.parametrize("count", [0, 1, 16, 17, 1000, 100_000])
def test_blocks_follow_each_other_and_grow(count):
    covered = np.zeros(count, np.int64)
    blocks = list(growing_blocks(count))
    for block in blocks:
        covered[block] += 1
    assert (covered == 1).all()
    assert len(blocks) < 120


def test_counts_start_from_what_they_are_given():
    flat, given = Counts(4), Counts(2, np.array([3, 1], np.uint16))
    flat.learn(np.array([1, 1, 3]))
    assert flat.weights.tolist() == [8, 40, 8, 24]
    assert given.weights.tolist() == [3073, 1025]


def test_tables_shorten_what_has_to_be_learned(tables):
    tokens = make_tokens((10, 10), 4, 9, 5, "smooth", 0.1)
    with_tables, without = (
        sum(map(len, encode_tokens(*tokens, 9, "adaptive", some))) for some in (tables, None)
    )
    assert with_tables < without
