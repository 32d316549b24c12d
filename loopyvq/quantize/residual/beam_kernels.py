"""The compiled part of the beam search: several sums of codes per vector, the best ones kept.

A *path* is a sum of codes with the symbols that led to it. At every turn each path is extended by
every code, or by `CONTINUE`, and the cheapest extensions live on. Scores only preselect; which
paths live is decided by their exact costs.
"""

from typing import no_type_check

import numpy as np
from numba import njit

from loopyvq.ops.simd import BLOCK, blend_least, hits, least, lowest_bit, shift_least
from loopyvq.quantize.residual.kernels import energy_of, take_step, write_error

__all__ = ["beam_rows"]

_CONTINUE = -2
_PAD = -1


@njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def _fresh_scores(at, error, gain, table, work):
    """Compute the scores of one path from its residual; give the size of the centred residual."""
    half, drift, centred, centre = table
    blocks, reach = half.shape[0] // BLOCK, 0.0
    drift_at = drift.ctypes.data
    pitch = 4 * half.shape[0]
    work[:] = 0.0
    shift_least(at, work.ctypes.data, half.ctypes.data, drift_at, gain, np.float32(0), blocks)
    for j in range(error.shape[0]):
        value = np.float32(error[j] - np.float64(gain) * centre[j])
        reach += np.float64(value) * np.float64(value)
        row = centred.ctypes.data + pitch * j
        shift_least(at, at, row, drift_at, -value, np.float32(0), blocks)
    return np.sqrt(reach)


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
@no_type_check
def _insert(costs, parents, symbols, count, most, cost, parent, symbol):
    """Put an extension among the cheapest, in order; the earlier one wins a tie."""
    if count == most and not cost < costs[most - 1]:
        return count
    place = count if count < most else most - 1
    while place > 0 and cost < costs[place - 1]:
        costs[place] = costs[place - 1]
        parents[place] = parents[place - 1]
        symbols[place] = symbols[place - 1]
        place -= 1
    costs[place] = cost
    parents[place] = parent
    symbols[place] = symbol
    return min(count + 1, most)


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
@no_type_check
def _note(values, cost):
    """Put a value among the least ones, in order."""
    place = values.shape[0] - 1
    if not cost < values[place]:
        return
    while place > 0 and cost < values[place - 1]:
        values[place] = values[place - 1]
        place -= 1
    values[place] = cost


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
@no_type_check
def _upper_bound(scores, lows, bases, caps, doubts, paths, factor, prices, weight, values):
    """Give a cost that enough extensions by codes do not exceed for certain.

    ``values`` holds what other extensions cost. The least scores of the paths decide, or of their
    blocks while there are few paths.
    """
    blocks = scores.shape[1] // BLOCK
    for path in range(paths):
        doubt = factor * doubts[path]
        if paths == values.shape[0]:
            cost = bases[path] + factor * np.float64(lows[path]) + doubt
            if cost < caps[path]:
                _note(values, cost)
            continue
        for block in range(blocks):
            offset = 4 * BLOCK * block
            at = scores[path].ctypes.data + offset
            lowest = blend_least(at, prices.ctypes.data + offset, weight, 1)
            cost = bases[path] + factor * np.float64(lowest) + doubt
            if cost < caps[path]:
                _note(values, cost)
    return values[values.shape[0] - 1]


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
@no_type_check
def _candidates(scores, limit, prices, weight, size, path, found, count):
    """Add every extension of a path whose score is at most a limit."""
    values, parents, symbols = found
    at, prices_at, short = scores.ctypes.data, prices.ctypes.data, np.float32(limit)
    for block in range(scores.shape[0] // BLOCK):
        offset = 4 * BLOCK * block
        bits = hits(at + offset, prices_at + offset, weight, short)
        while bits != 0:
            code = BLOCK * block + lowest_bit(bits)
            bits &= bits - np.uint64(1)
            if code >= size:
                break
            values[count] = np.float64(scores[code]) + np.float64(weight) * np.float64(prices[code])
            parents[count] = path
            symbols[count] = code
            count += 1
    return count


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
@no_type_check
def _centred_square(latents, i, sums, row, sigma, gain, centre):
    """Give the squared norm of the centred residual, to float64 rounding."""
    total, inverse, shift = 0.0, 1.0 / np.float64(sigma), np.float64(gain)
    for j in range(centre.shape[0]):
        error = np.float64(latents[i, j]) - np.float64(sums[row, j] * sigma)
        left = error * inverse - shift * centre[j]
        total += left * left
    return total


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
@no_type_check
def _extend(i, turn, now, paths, table, problem, options, costs, store, room):
    """Find the cheapest extensions of all paths, in order; returns how many there are."""
    codes, gains = table[0], table[1]
    latents, sigma = problem
    most, kept, first_dummy = options
    prices, dummy_price, least_price, price_span, rate = costs
    scores, sums, energies, spent, squares, lows, doubts = store
    bases, caps, values, found, chosen, candidate = room
    unit, gain = np.float64(sigma), gains[turn]
    square, factor = unit * unit, 2.0 * np.float64(gain)
    weight = np.float32(rate / factor)
    total_costs, parents, symbols = chosen
    number, count = 0, 0
    values[:] = np.inf
    for path in range(paths):
        energy, paid = energies[now, path] / square, rate * spent[now, path]
        bases[path] = squares[now, path] + paid
        caps[path] = np.inf
        if turn >= first_dummy:
            # A code must lower the error; what it costs beside is at least the lowest price.
            caps[path] = kept * energy + paid + rate * least_price
            cost = energy + rate * (spent[now, path] + dummy_price)
            number = _insert(total_costs, parents, symbols, number, most, cost, path, _CONTINUE)
            _note(values, cost)
    bound = _upper_bound(
        scores[now], lows[now], bases, caps, doubts, paths, factor, prices, weight, values
    )
    for path in range(paths):
        limit = min(bound, caps[path] + rate * price_span) - bases[path]
        limit = limit / factor + doubts[path]
        scored = scores[now, path]
        count = _candidates(scored, limit, prices, weight, codes.shape[0], path, found, count)
    for a in range(count):
        path, code = found[1][a], found[2][a]
        lowest = bases[path] + factor * (found[0][a] - doubts[path])
        if number == most and lowest > total_costs[most - 1]:
            continue
        energy = take_step(
            latents, i, sums, now * most + path, sigma, codes, code, gain, candidate, 0
        )
        if turn >= first_dummy and not energy < kept * energies[now, path]:
            continue
        cost = energy / square + rate * (spent[now, path] + np.float64(prices[code]))
        number = _insert(total_costs, parents, symbols, number, most, cost, path, code)
    return number


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
@no_type_check
def _grow(i, turn, now, number, table, problem, costs, store, sizes, history, room):
    """Turn the chosen extensions into the paths of the next turn."""
    codes, gains, gram, drift, _, half, centred, centre, fresh = table
    latents, sigma = problem
    prices, dummy_price, _, _, rate = costs
    scores, sums, energies, spent, squares, lows, _ = store
    most = scores.shape[1]
    chosen, error, blank = room
    blocks, pitch = scores.shape[2] // BLOCK, 4 * scores.shape[2]
    then, gain = 1 - now, gains[turn]
    for child in range(number):
        parent, code = chosen[1][child], chosen[2][child]
        for past in range(turn):
            history[then, child, past] = history[now, parent, past]
        history[then, child, turn] = code
        step, row, price = np.float32(0), 0, dummy_price
        if code >= 0:
            step, row, price = gain, code, np.float64(prices[code])
        origin, target = now * most + parent, then * most + child
        if code >= 0:
            energies[then, child] = take_step(
                latents, i, sums, origin, sigma, codes, code, gain, sums, target
            )
        else:
            energies[then, child] = energies[now, parent]
            for j in range(sums.shape[1]):
                sums[target, j] = sums[origin, j]
        spent[then, child] = spent[now, parent] + price
        if turn + 1 == gains.shape[0]:
            continue
        following = gains[turn + 1]
        at = scores.ctypes.data + pitch * target
        squares[then, child] = _centred_square(latents, i, sums, target, sigma, following, centre)
        if fresh[turn + 1]:
            write_error(latents, i, sums, target, sigma, error)
            basis = (half, drift, centred, centre)
            sizes[then, child] = _fresh_scores(at, error, following, basis, blank)
            lows[then, child] = least(at, blocks)
        else:
            source = scores.ctypes.data + pitch * origin
            row_at, drift_at = gram.ctypes.data + pitch * row, drift.ctypes.data
            change = following - gain
            lows[then, child] = shift_least(at, source, row_at, drift_at, step, change, blocks)
            sizes[then, child] = sizes[now, parent]
        if rate > 0:
            weight = np.float32(rate / (2.0 * np.float64(following)))
            lows[then, child] = blend_least(at, prices.ctypes.data, weight, blocks)


@njit(nogil=True, cache=True, error_model="numpy")
@no_type_check
def beam_rows(
    start, end, first, scored, reach, level, table, problem, limits, prices, rates, most, out
):
    """Search rows ``start..end-1``, whose scores of the first turn are given from row ``first``."""
    codes, gains, bound, centre = table[0], table[1], table[4], table[7]
    latents, sigma = problem
    thresholds, depths, min_length, kept, first_dummy = limits
    emitted, lengths, norms = out
    unit, width, turns = np.float64(sigma), latents.shape[1], gains.shape[0]
    pitch = scored.shape[1]
    blocks, capacity = pitch // BLOCK, most * codes.shape[0]
    scores = np.empty((2, most, pitch), np.float32)
    sums = np.empty((2 * most, width), latents.dtype)
    energies, spent, squares = np.empty((2, most)), np.empty((2, most)), np.empty((2, most))
    sizes, lows, doubts = np.empty((2, most)), np.empty((2, most), np.float32), np.empty(most)
    store = (scores, sums, energies, spent, squares, lows, doubts)
    history, best = np.empty((2, most, turns), np.int64), np.empty(turns, np.int64)
    found = (np.empty(capacity), np.empty(capacity, np.int64), np.empty(capacity, np.int64))
    chosen = (np.empty(most), np.empty(most, np.int64), np.empty(most, np.int64))
    error, blank = np.empty(width), np.empty(pitch, np.float32)
    candidate = np.empty((1, width), latents.dtype)
    choosing = (np.empty(most), np.empty(most), np.empty(most), found, chosen, candidate)
    options = (most, kept, first_dummy)
    for i in range(start, end):
        now, paths, rate = 0, 1, rates[i]
        costs = (prices[0], prices[1], prices[2], prices[3], rate)
        sums[0] = 0
        spent[0, 0] = 0.0
        energies[0, 0] = energy_of(latents, i, sums, 0, sigma)
        squares[0, 0] = _centred_square(latents, i, sums, 0, sigma, gains[0], centre)
        scores[0, 0] = scored[i - first]
        sizes[0, 0] = reach[i - first]
        weight = np.float32(rate / (2.0 * np.float64(gains[0])))
        lows[0, 0] = blend_least(scores.ctypes.data, prices[0].ctypes.data, weight, blocks)
        best_cost, best_length = np.inf, 0
        for turn in range(turns + 1):
            if turn >= min_length or turn >= depths[i]:
                # The cheapest path comes first; without a price the last word counts.
                cost = energies[now, 0] / (unit * unit) + rate * spent[now, 0]
                if rate == 0.0 or cost < best_cost:
                    best_cost, best_length = cost, turn
                    best[:turn] = history[now, 0, :turn]
                if rate == 0.0 and np.sqrt(energies[now, 0]) / unit <= thresholds[i]:
                    break
            if turn >= depths[i] or turn == turns or rate * spent[now, :paths].min() >= best_cost:
                break
            factors = bound[turn]
            for path in range(paths):
                doubts[path] = (
                    factors[0] * sizes[now, path] + factors[1] * level[i - first] + factors[2]
                )
            paths = _extend(i, turn, now, paths, table, problem, options, costs, store, choosing)
            room = (chosen, error, blank)
            _grow(i, turn, now, paths, table, problem, costs, store, sizes, history, room)
            now = 1 - now
        lengths[i] = best_length
        sums[0] = 0
        norms[i, 0] = np.sqrt(energy_of(latents, i, sums, 0, sigma)) / unit
        for turn in range(turns):
            code = best[turn] if turn < best_length else _PAD
            emitted[i, turn] = code
            if code >= 0:
                take_step(latents, i, sums, 0, sigma, codes, code, gains[turn], sums, 0)
            norms[i, turn + 1] = np.sqrt(energy_of(latents, i, sums, 0, sigma)) / unit
