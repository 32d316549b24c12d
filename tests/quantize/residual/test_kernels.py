"""The pieces that the compiled loop is made of, against numpy."""

import numpy as np
import pytest

pytest.importorskip("numba")
kernels = pytest.importorskip("loopyvq.quantize.residual.kernels")
BLOCK = pytest.importorskip("loopyvq.ops.simd").BLOCK


def problem(width=7, size=5, dtype=np.float32, seed=0):
    generator = np.random.default_rng(seed)
    latents = generator.standard_normal((4, width)).astype(dtype)
    sums = generator.standard_normal((3, width)).astype(dtype)
    codes = generator.standard_normal((size, width)).astype(np.float32)
    return latents, sums, dtype(0.7), codes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [1, 3, 16, 37])
def test_a_step_rounds_as_the_decoder_does(dtype, width):
    latents, sums, sigma, codes = problem(width, dtype=dtype)
    gain = np.float32(0.3)
    expected = sums[1] + gain * codes[4]
    energy = kernels.take_step(latents, 2, sums, 1, sigma, codes, 4, gain, sums, 0)
    assert sums.dtype == dtype
    assert np.array_equal(sums[0], expected)
    left = latents[2].astype(np.float64) - (expected * sigma).astype(np.float64)
    assert energy == pytest.approx(np.square(left).sum(), rel=1e-14)
    error = np.empty(width)
    kernels.write_error(latents, 2, sums, 0, sigma, error)
    assert np.allclose(error, left / np.float64(sigma), rtol=1e-15, atol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [1, 4, 9, 23, 40])
def test_a_step_of_nothing_leaves_the_energy_to_the_last_bit(dtype, width):
    for seed in range(20):
        latents, sums, sigma, codes = problem(width, dtype=dtype, seed=seed)
        codes[1] = 0
        before = kernels.energy_of(latents, 2, sums, 1, sigma)
        for place in (0, 2, 1):
            step = (codes, 1, np.float32(1), sums, place)
            assert kernels.take_step(latents, 2, sums, 1, sigma, *step) == before
            assert np.array_equal(sums[place], sums[1])


def nearest(scores, limit, error, codes, gain=1.0):
    blocks = -(-len(codes) // BLOCK)
    padded = np.full(blocks * BLOCK, np.inf, np.float32)
    padded[: len(scores)] = scores
    zeros = np.zeros_like(padded)
    return kernels.nearest_exactly(
        padded.ctypes.data,
        np.float32(limit),
        zeros.ctypes.data,
        blocks,
        np.asarray(error, np.float64),
        np.asarray(codes, np.float32),
        np.float32(gain),
    )


LINE = [[3.0], [1.0], [2.0], [1.0]]


def test_only_codes_within_the_limit_are_compared():
    assert nearest([0, 5, 0, 5], 1, [1.1], LINE) == 2
    assert nearest([0, 0, 0, 0], 1, [1.1], LINE) == 1
    assert nearest([5, 5, 5, 0], 1, [1.1], LINE) == 3


def test_of_equal_distances_the_first_wins_and_rounding_makes_equal():
    assert nearest([0, 0, 0, 0], 1, [2.5], LINE) == 0
    assert nearest([0, 0, 0, 0], 1, [2.5 - 1e-16], LINE) == 0
    assert nearest([0, 0, 0, 0], 1, [2.5 - 1e-12], LINE) == 2


def test_codes_are_compared_at_their_gain():
    assert nearest([0, 0, 0, 0], 1, [1.1], LINE, gain=0.5) == 2


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_without_a_score_that_is_a_number_all_codes_are_compared(score):
    codes = np.arange(100.0)[::-1, None].copy()
    assert nearest([score] * 100, np.nan, [41.7], codes) == 57
    assert nearest([score] * 100, 1e30, [41.7], codes) == 57
    assert nearest([score] * 100, np.inf, [41.7], codes) == 57


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_centred_and_their_sizes_measured(dtype):
    latents, _, sigma, _ = problem(dtype=dtype)
    totals = np.random.default_rng(1).standard_normal(latents.shape).astype(dtype)
    shift = np.linspace(-3, 3, 7)
    rows = np.array([3, 1])
    centred = np.zeros((5, 7), np.float32)
    reach, level = np.zeros(5), np.zeros(5)
    kernels.centre_rows(rows, latents, totals, sigma, shift, centred, reach, level)
    exact, unit = latents[rows].astype(np.float64), np.float64(sigma)
    left = (exact - (totals[rows] * sigma).astype(np.float64)) / unit
    assert np.array_equal(centred[:2], (left - shift).astype(np.float32))
    assert (centred[2:] == 0).all()
    assert np.allclose(reach[:2], np.linalg.norm(centred[:2].astype(np.float64), axis=1))
    sizes = np.linalg.norm(exact / unit, axis=1) + np.linalg.norm(left, axis=1)
    assert np.allclose(level[:2], sizes)
