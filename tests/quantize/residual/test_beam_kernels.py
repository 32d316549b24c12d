"""The pieces of the compiled beam search, against numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")
kernels = pytest.importorskip("loopyvq.quantize.residual.beam_kernels")
BLOCK = pytest.importorskip("loopyvq.ops.simd").BLOCK

costs = st.lists(st.integers(-5, 5).map(float), max_size=30)


@settings(max_examples=60, deadline=None)
@given(costs, st.integers(1, 6))
def test_the_cheapest_are_kept_in_order_and_the_earlier_wins_a_tie(values, most):
    kept, parents = np.zeros(most), np.zeros(most, np.int64)
    symbols, count = np.zeros(most, np.int64), 0
    for place, cost in enumerate(values):
        count = kernels._insert.py_func(
            kept, parents, symbols, count, most, cost, place, 100 + place
        )
    expected = sorted(range(len(values)), key=lambda place: (values[place], place))[:most]
    assert count == len(expected)
    assert parents[:count].tolist() == expected
    assert symbols[:count].tolist() == [100 + place for place in expected]
    assert kept[:count].tolist() == [values[place] for place in expected]


@settings(max_examples=60, deadline=None)
@given(costs, st.integers(1, 6))
def test_the_least_values_are_noted_in_order(values, most):
    noted = np.full(most, np.inf)
    for cost in values:
        kernels._note.py_func(noted, cost)
    assert noted.tolist() == [*sorted(values)[:most], *[np.inf] * (most - len(values))]


def problem(width, blocks, seed=0):
    generator = np.random.default_rng(seed)
    draw = generator.standard_normal
    size = blocks * BLOCK
    half, drift = draw(size).astype(np.float32), draw(size).astype(np.float32)
    return half, drift, draw((width, size)).astype(np.float32), draw(width), draw(width)


@pytest.mark.parametrize(("width", "blocks"), [(1, 1), (7, 2), (40, 3)])
def test_fresh_scores_are_a_product(width, blocks):
    half, drift, centred, centre, error = problem(width, blocks)
    scores, work = np.empty_like(half), np.ones_like(half)
    gain = np.float32(0.3)
    table = (half, drift, centred, centre)
    reach = kernels._fresh_scores(scores.ctypes.data, error, gain, table, work)
    left = error - np.float64(gain) * centre
    expected = np.float64(gain) * half - left @ centred.astype(np.float64)
    assert np.allclose(scores, expected, rtol=0, atol=1e-5 * np.abs(left).sum())
    assert reach == pytest.approx(np.linalg.norm(left), rel=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_size_of_the_centred_residual(dtype):
    generator = np.random.default_rng(0)
    latents, sums = (generator.standard_normal((3, 9)).astype(dtype) for _ in range(2))
    centre, sigma, gain = generator.standard_normal(9), dtype(0.7), np.float32(0.3)
    left = latents[1].astype(np.float64) - (sums[2] * sigma).astype(np.float64)
    expected = np.square(left / np.float64(sigma) - np.float64(gain) * centre).sum()
    found = kernels._centred_square(latents, 1, sums, 2, sigma, gain, centre)
    assert found == pytest.approx(expected, rel=1e-13)
