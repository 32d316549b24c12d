"""The vector instructions against numpy, called as the kernels call them."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

numba = pytest.importorskip("numba")
simd = pytest.importorskip("loopyvq.ops.simd")

BLOCK, least, hits, num_hits = simd.BLOCK, simd.least, simd.hits, simd.num_hits
shift_least, blend_least, lowest_bit = simd.shift_least, simd.blend_least, simd.lowest_bit


@numba.njit
def least_of(scores):
    return least(scores.ctypes.data, scores.shape[0] // BLOCK)


@numba.njit
def shift(target, source, row, drift, step, change):
    return shift_least(
        target.ctypes.data,
        source.ctypes.data,
        row.ctypes.data,
        drift.ctypes.data,
        step,
        change,
        source.shape[0] // BLOCK,
    )


@numba.njit
def blend(scores, prices, weight):
    blocks = scores.shape[0] // BLOCK
    return blend_least(scores.ctypes.data, prices.ctypes.data, weight, blocks)


@numba.njit
def bits_of(scores, prices, weight, limit, block):
    offset = 4 * BLOCK * block
    return hits(scores.ctypes.data + offset, prices.ctypes.data + offset, weight, limit)


@numba.njit
def count_of(scores, limit):
    return num_hits(scores.ctypes.data, limit, scores.shape[0] // BLOCK)


@numba.njit
def bit_of(bits):
    return lowest_bit(bits)


def rows(seed, blocks, count=1):
    generator = np.random.default_rng(seed)
    return list(generator.standard_normal((count, blocks * BLOCK)).astype(np.float32))


def rounding(*parts):
    """A fused product rounds once where numpy rounds twice."""
    return 4e-7 * sum(np.abs(part) for part in parts) + 1e-30


sizes = given(seed=st.integers(0, 2**32), blocks=st.integers(1, 6))


@settings(max_examples=40, deadline=None)
@sizes
def test_least_is_the_least(seed, blocks):
    (scores,) = rows(seed, blocks)
    assert least_of(scores) == scores.min()


@pytest.mark.parametrize("place", [0, 1, 15, 16, 63, 64, 100, 127])
def test_least_looks_everywhere(place):
    scores = np.ones(2 * BLOCK, np.float32)
    scores[place] = -3
    assert least_of(scores) == -3


def test_least_of_nothing_is_infinite_and_what_is_not_a_number_is_passed_over():
    assert least_of(np.empty(0, np.float32)) == np.inf
    scores = np.full(BLOCK, np.nan, np.float32)
    assert least_of(scores) == np.inf
    scores[40] = 7
    assert least_of(scores) == 7


@settings(max_examples=40, deadline=None)
@sizes
def test_shift_least_writes_the_sums_and_gives_their_least(seed, blocks):
    source, row, drift, (step, change, *_) = rows(seed, blocks, 4)
    target = np.zeros_like(source)
    found = shift(target, source, row, drift, step, change)
    expected = source + step * row + change * drift
    assert (np.abs(target - expected) <= rounding(source, step * row, change * drift)).all()
    assert found == target.min()
    again = source.copy()
    assert shift(again, again, row, drift, step, change) == found  # in place
    assert np.array_equal(again, target)


@settings(max_examples=40, deadline=None)
@sizes
def test_blend_least_gives_the_least_sum_and_writes_nothing(seed, blocks):
    scores, prices, (weight, *_) = rows(seed, blocks, 3)
    kept = scores.copy()
    terms = (scores, weight * prices)
    bound = float(rounding(*terms).max())
    assert abs(blend(scores, prices, weight) - sum(terms).min()) <= bound
    assert np.array_equal(scores, kept)


@settings(max_examples=40, deadline=None)
@example(seed=0, blocks=2, limit=np.inf)
@given(st.integers(0, 2**32), st.integers(1, 4), st.floats(-3, 3, width=32))
def test_hits_are_the_bits_of_what_is_within_the_limit(seed, blocks, limit):
    scores, prices = rows(seed, blocks, 2)
    scores[3] = np.nan
    scores[5] = limit
    for weight in np.float32([0, 0.5]):
        within = scores + weight * prices <= np.float32(limit)
        for block in range(blocks):
            part = within[block * BLOCK : (block + 1) * BLOCK]
            expected = sum(1 << place for place in range(BLOCK) if part[place])
            assert bits_of(scores, prices, weight, np.float32(limit), block) == expected


def test_padding_counts_only_where_the_limit_is_infinite():
    scores = np.full(BLOCK, np.inf, np.float32)
    scores[0] = 1
    zeros = np.zeros_like(scores)
    assert bits_of(scores, zeros, np.float32(0), np.float32(1e30), 0) == 1
    assert bits_of(scores, zeros, np.float32(0), np.float32(np.inf), 0) == 2**64 - 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 5), st.floats(-4, 4, width=32))
def test_num_hits_counts_and_gives_the_first(seed, blocks, limit):
    (scores,) = rows(seed, blocks)
    within = np.flatnonzero(scores <= np.float32(limit))
    first = within[0] if len(within) else -1
    assert count_of(scores, np.float32(limit)) == (len(within), first)


def test_num_hits_of_what_is_not_a_number_are_none():
    assert count_of(np.full(2 * BLOCK, np.nan, np.float32), np.float32(np.inf)) == (0, -1)


@pytest.mark.parametrize("bit", [0, 1, 31, 32, 63])
def test_the_lowest_bit(bit):
    assert bit_of(np.uint64(1 << bit)) == bit
    assert bit_of(np.uint64((1 << bit) | (1 << 63))) == bit


def test_no_bit_at_all():
    assert bit_of(np.uint64(0)) == 64
