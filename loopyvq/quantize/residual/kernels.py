"""The compiled part of the loop: all turns of a row while its scores are in the cache.

Arrays are those of `loopyvq.quantize.residual.compiled`; errors are in the latents' own units.
"""

from typing import no_type_check

import numpy as np
from numba import njit

from loopyvq.ops.simd import BLOCK, hits, least, lowest_bit, num_hits, shift_least

__all__ = ["centre_rows", "energy_of", "greedy_turns", "take_step", "write_error"]

_CONTINUE = -2
# Exact distances closer than their own float64 rounding tie, and the lowest index wins.
_TIE = 2.0**-50


# Sums in whatever order is fast; but no fused products, which the decoder does not have.
_ANY_ORDER = {"reassoc"}


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_ANY_ORDER)
@no_type_check
def energy_of(latents, i, sums, row, sigma):
    """Give the squared error of what the decoder makes of a sum."""
    energy = 0.0
    for j in range(sums.shape[1]):
        left = np.float64(latents[i, j]) - np.float64(sums[row, j] * sigma)
        energy += left * left
    return energy


@njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def take_step(latents, i, sums, row, sigma, codes, code, gain, target, place):
    """Write a sum with one more code to a place, and give its squared error."""
    for j in range(sums.shape[1]):
        target[place, j] = sums[row, j] + gain * codes[code, j]
    # Added up as every other error: a code that changes nothing leaves the same to the last bit.
    return energy_of(latents, i, target, place, sigma)


@njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def write_error(latents, i, sums, row, sigma, error):
    """Write the error of what the decoder makes of a sum, in units of sigma."""
    unit = np.float64(sigma)
    for j in range(sums.shape[1]):
        error[j] = (np.float64(latents[i, j]) - np.float64(sums[row, j] * sigma)) / unit


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_ANY_ORDER)
@no_type_check
def distance_to(error, codes, code, gain):
    """Give the exact squared distance of a residual from a code."""
    distance = 0.0
    for j in range(error.shape[0]):
        left = error[j] - np.float64(gain * codes[code, j])
        distance += left * left
    return distance


@njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def nearest_exactly(scores, limit, padding, blocks, error, codes, gain):
    """Choose by float64 distance among the codes whose scores are at most a limit."""
    size = codes.shape[0]
    best, winner = np.inf, -1
    for block in range(blocks):
        offset = 4 * BLOCK * block
        bits = hits(scores + offset, padding + offset, np.float32(0), limit)
        while bits != 0:
            code = BLOCK * block + lowest_bit(bits)
            bits &= bits - np.uint64(1)
            if code >= size:  # padding, met only where the limit is infinite
                break
            distance = distance_to(error, codes, code, gain)
            if distance < best - _TIE * best or winner < 0:
                best, winner = distance, code
    if winner < 0:  # no score is a number: compare with every code
        best, winner = distance_to(error, codes, 0, gain), 0
        for code in range(1, size):
            distance = distance_to(error, codes, code, gain)
            if distance < best - _TIE * best:
                best, winner = distance, code
    return winner


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
@no_type_check
def centre_rows(rows, latents, totals, sigma, shift, centred, reach, level):
    """Write what is left of each row, centred and in units of sigma, and bounds on its size."""
    unit = np.float64(sigma)
    for a in range(rows.shape[0]):
        i = rows[a]
        inner, whole, left = 0.0, 0.0, 0.0
        for j in range(latents.shape[1]):
            value = np.float64(latents[i, j]) / unit
            error = (np.float64(latents[i, j]) - np.float64(totals[i, j] * sigma)) / unit
            short = np.float32(error - shift[j])
            centred[a, j] = short
            inner += np.float64(short) * np.float64(short)
            whole += value * value
            left += error * error
        reach[a] = np.sqrt(inner)
        level[a] = np.sqrt(whole) + np.sqrt(left)


@njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def greedy_turns(
    start, end, rows, first, last, scores, reach, level, table, problem, limits, state, active
):
    """Run turns ``first..last-1`` of ``rows[start:end]``, whose scores were just computed."""
    codes, gains, gram, drift, bound = table
    latents, sigma = problem
    thresholds, depths, min_length, kept, first_dummy = limits
    totals, emitted, lengths, norms = state
    unit, width, blocks = np.float64(sigma), latents.shape[1], scores.shape[1] // BLOCK
    pitch, drift_at = 4 * scores.shape[1], drift.ctypes.data
    error, sums = np.empty(width), np.empty((2, width), totals.dtype)
    for a in range(start, end):
        i, at = rows[a], scores.ctypes.data + pitch * a
        now, previous, step = 0, 0, np.float32(0)
        for j in range(width):
            sums[now, j] = totals[i, j]
        energy = energy_of(latents, i, sums, now, sigma)
        norm = np.sqrt(energy) / unit
        norms[i, first] = norm
        active[a] = True
        for turn in range(first, last):
            if turn >= depths[i] or (norm <= thresholds[i] and turn >= min_length):
                active[a] = False
                break
            gain = gains[turn]
            if turn == first:
                best = least(at, blocks)
            else:
                row = gram.ctypes.data + pitch * previous
                change = gain - gains[turn - 1]
                best = shift_least(at, at, row, drift_at, step, change, blocks)
            doubt = bound[turn, 0] * reach[a] + bound[turn, 1] * level[a] + bound[turn, 2]
            limit = np.float32(best + doubt)
            count, code = num_hits(at, limit, blocks)
            if count != 1:
                write_error(latents, i, sums, now, sigma, error)
                code = nearest_exactly(at, limit, drift_at, blocks, error, codes, gain)
            left = take_step(latents, i, sums, now, sigma, codes, code, gain, sums, 1 - now)
            if turn >= first_dummy and not left < kept * energy:
                step, code = np.float32(0), _CONTINUE
            else:
                now, energy, previous, step = 1 - now, left, code, gain
                norm = np.sqrt(energy) / unit
            emitted[i, turn] = code
            lengths[i] = turn + 1
            norms[i, turn + 1] = norm
        if active[a] and last < gains.shape[0]:
            for j in range(width):
                totals[i, j] = sums[now, j]
