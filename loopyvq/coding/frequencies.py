"""Weights and scores to the integer frequencies of the range coder, without a float."""

from math import isqrt

import numpy as np
from jaxtyping import Int, Integer

from loopyvq.coding.range_coder import TOTAL

__all__ = ["SCORE_UNIT", "frequencies_of_weights", "weights_of_scores"]

# Scores are base-2 logarithms in this fixed point.
SCORE_UNIT = 256
_LARGEST_WEIGHT_BITS = 20
_RECIPROCAL_BITS = 24


def _powers_of_two() -> Int[np.ndarray, " m"]:
    """Tabulate ``floor(2^(20 - i/256))``, by integer square roots alone."""
    octave = []
    for step in range(SCORE_UNIT):
        power = 1 << (SCORE_UNIT * _LARGEST_WEIGHT_BITS - step)
        for _ in range(SCORE_UNIT.bit_length() - 1):
            power = isqrt(power)  # eight roots take the 256th root, rounded down
        octave.append(power)
    halvings = np.arange(_LARGEST_WEIGHT_BITS)[:, np.newaxis]
    return (np.array(octave, np.int64) >> halvings).ravel()


_POWERS = _powers_of_two()


def weights_of_scores(scores: Int[np.ndarray, "n k"]) -> Int[np.ndarray, "n k"]:
    """Raise two to each score, relative to the best of its row.

    Args:
        scores: base-2 logarithms in units of 1 / `SCORE_UNIT`.

    Returns:
        Weights within ``1..2^20``; the best of a row has ``2^20``.
    """
    below = scores.max(axis=1, keepdims=True) - scores
    return _POWERS.take(below, mode="clip")


def frequencies_of_weights(weights: Integer[np.ndarray, "*n k"]) -> Int[np.ndarray, "*n k"]:
    """Share out `TOTAL` in proportion to weights, at least 1 each.

    Args:
        weights: 0 or more, below ``2^48`` together and not all 0 in any row.

    Returns:
        Frequencies; what rounding leaves over goes to the largest weight, the first among equals.

    Example:
        >>> frequencies_of_weights(np.array([3, 1, 0])).tolist()
        [12582911, 4194304, 1]
    """
    weights = weights.astype(np.int64)
    free = TOTAL - weights.shape[-1]
    reciprocal = (free << _RECIPROCAL_BITS) // weights.sum(axis=-1, keepdims=True)
    frequencies = weights * reciprocal
    frequencies >>= _RECIPROCAL_BITS
    frequencies += 1
    left_over = TOTAL - frequencies.sum(axis=-1, keepdims=True)
    best = weights.argmax(axis=-1, keepdims=True)
    best_frequency = np.take_along_axis(frequencies, best, axis=-1)
    np.put_along_axis(frequencies, best, best_frequency + left_over, axis=-1)
    return frequencies
