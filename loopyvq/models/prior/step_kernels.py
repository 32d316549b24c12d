"""One block for one further position of a few sequences, compiled. Needs numba.

Weights are read once, in the order in which they lie in memory, for all sequences.
"""

import math
from typing import no_type_check

import numpy as np
from numba import njit

__all__ = ["attend", "block", "normalize"]

# Sums in whatever order is fast, and fused products; infinities and NaN keep their meaning.
_FAST = {"reassoc", "contract", "nsz", "arcp"}
_HALF = np.float32(0.5)
_ONE = np.float32(1)
_ROOT_HALF = np.float32(math.sqrt(0.5))


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_FAST)
@no_type_check
def normalize(rows, weight, bias, eps, centred, out):
    """Normalize rows: by their root mean square, or by mean and variance where ``centred``."""
    width = rows.shape[1]
    for row in range(rows.shape[0]):
        mean = np.float32(0)
        if centred:
            for i in range(width):
                mean += rows[row, i]
            mean /= np.float32(width)
        energy = np.float32(0)
        for i in range(width):
            energy += (rows[row, i] - mean) * (rows[row, i] - mean)
        scale = np.float32(1 / math.sqrt(energy / width + eps))
        for i in range(width):
            out[row, i] = (rows[row, i] - mean) * scale * weight[i] + bias[i]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_FAST)
@no_type_check
def _apply(rows, weight, bias, out):
    for place in range(weight.shape[0]):
        for row in range(rows.shape[0]):
            total = np.float32(0)
            for i in range(weight.shape[1]):
                total += weight[place, i] * rows[row, i]
            out[row, place] = total + bias[place]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_FAST)
@no_type_check
def _turn(heads, cosine, sine, scratch):
    half = heads.shape[0] // 2
    for i in range(half):
        scratch[i] = heads[i] * cosine[i] + heads[half + i] * sine[i]
        scratch[half + i] = heads[half + i] * cosine[half + i] + heads[i] * sine[half + i]
    heads[:] = scratch


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_FAST)
@no_type_check
def attend(query, keys, values, scores, out):
    """Attend to all keys, of one head."""
    count, width = keys.shape
    scale = np.float32(1 / math.sqrt(width))
    most = np.float32(-np.inf)
    for place in range(count):
        score = np.float32(0)
        for i in range(width):
            score += query[i] * keys[place, i]
        score *= scale
        scores[place] = score
        most = max(most, score)
    total = np.float32(0)
    for place in range(count):
        scores[place] = math.exp(scores[place] - most)
        total += scores[place]
    out[:] = 0
    for place in range(count):
        share = scores[place] / total
        for i in range(width):
            out[i] += share * values[place, i]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_FAST)
@no_type_check
def block(rows, memory, at, rotary, turns, norms, linears, eps, centred):
    """Add to rows what a block says of them, and put their keys and values into memory.

    ``memory`` is ``b 2 n t d``; ``rotary`` cosine and sine, used where ``turns``; ``norms`` and
    ``linears`` weights and biases: of attention, mlp; of qkv, out, grow, shrink.
    """
    batch, width = rows.shape
    heads, head_width = memory.shape[2], memory.shape[4]
    changed = np.empty((batch, width), np.float32)
    split = np.empty((batch, 3 * width), np.float32)
    scores = np.empty(at + 1, np.float32)
    scratch = np.empty(head_width, np.float32)
    normalize(rows, norms[0], norms[1], eps, centred, changed)
    _apply(changed, linears[0], linears[1], split)
    for row in range(batch):
        for head in range(heads):
            first = head * head_width
            query = split[row, first : first + head_width]
            key = split[row, width + first : width + first + head_width]
            if turns:
                _turn(query, rotary[0], rotary[1], scratch)
                _turn(key, rotary[0], rotary[1], scratch)
            memory[row, 0, head, at] = key
            memory[row, 1, head, at] = split[
                row, 2 * width + first : 2 * width + first + head_width
            ]
            keys, values = memory[row, 0, head, : at + 1], memory[row, 1, head, : at + 1]
            attend(query, keys, values, scores, changed[row, first : first + head_width])
    added = np.empty((batch, width), np.float32)
    _apply(changed, linears[2], linears[3], added)
    rows += added
    normalize(rows, norms[2], norms[3], eps, centred, changed)
    inner = np.empty((batch, linears[4].shape[0]), np.float32)
    _apply(changed, linears[4], linears[5], inner)
    for row in range(batch):
        for i in range(inner.shape[1]):
            value = inner[row, i]
            inner[row, i] = _HALF * value * (_ONE + np.float32(math.erf(value * _ROOT_HALF)))
    _apply(inner, linears[6], linears[7], added)
    rows += added
