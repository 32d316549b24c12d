"""A small network of integers: two hidden layers, then one score per symbol.

Every product and sum is a whole number that float64 holds exactly, so the matrix products of any
library on any machine, in any order and with any number of threads, give the same integers.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Int8, Int16, Int32

from loopyvq.coding.features import LARGEST_FEATURE

__all__ = ["LARGEST_ACTIVATION", "LARGEST_BIAS", "LARGEST_SHIFT", "MOST_INPUTS", "Layer", "Network"]

# Activations are within 0..255 in units of 1/64, as features are.
LARGEST_ACTIVATION = 255
LARGEST_SHIFT = 24
# So that no difference between two sums of products and bias leaves 32 bits.
LARGEST_BIAS = 1 << 29
MOST_INPUTS = 1024
_LARGEST_WEIGHT = 128


class Layer(NamedTuple):
    """An affine map in fixed point.

    Attributes:
        weights: to each output from each input.
        bias: in units of the products.
        shift: bits by which the sums are scaled down, ``0..24``.
    """

    weights: Int8[np.ndarray, "out in"]
    bias: Int32[np.ndarray, " out"]
    shift: int

    def apply(self, inputs: Int[np.ndarray, "n in"], largest: int) -> Int32[np.ndarray, "n out"]:
        """Map inputs, rounding to the nearest (halves up).

        Args:
            inputs: whole numbers.
            largest: magnitude that none of them exceeds.

        Returns:
            Outputs.
        """
        # float32 holds whole numbers below 2^24, and every partial sum is one of those.
        exact = largest * _LARGEST_WEIGHT * inputs.shape[1] < 1 << 24
        wide = np.float32 if exact else np.float64
        products = inputs.astype(wide) @ self.weights.T.astype(wide)
        sums = products.astype(np.int32)
        sums += self.bias + ((1 << self.shift) >> 1)
        sums >>= self.shift
        return sums


class Network(NamedTuple):
    """Three layers.

    Attributes:
        first: from features.
        second: from activations.
        last: to base-2 logarithms of how likely each symbol is, times 256.
    """

    first: Layer
    second: Layer
    last: Layer

    def scores(self, features: Int16[np.ndarray, "n f"]) -> Int[np.ndarray, "n k"]:
        """Score every symbol at every site.

        Args:
            features: as `Surroundings.features` gives them.

        Returns:
            Scores; differences within a row are what counts.
        """
        hidden = np.clip(self.first.apply(features, LARGEST_FEATURE), 0, LARGEST_ACTIVATION)
        hidden = np.clip(self.second.apply(hidden, LARGEST_ACTIVATION), 0, LARGEST_ACTIVATION)
        return self.last.apply(hidden, LARGEST_ACTIVATION)
