"""Tables and tokens by formula, for golden bytes that no random generator can change."""

import numpy as np

from loopyvq.coding import CodedTokens, Tables
from loopyvq.coding.features import num_features
from loopyvq.coding.turns import CONTINUE, PAD


def make_tables():
    """Tables of 4 codes and 3 turns that need no training."""

    def numbers(*shape):
        index = np.arange(np.prod(shape)).reshape(shape)
        return (index * index * 37 + index * 11) % 251 - 125

    shapes = {"first": (5, num_features(2)), "second": (5, 5), "last": (6, 5)}
    arrays = {
        "codebook": (numbers(4, 2) * 9).astype(np.int16),
        "gains": np.array([256, 150, 100], np.int16),
        "weights": (numbers(3, 4, 5) + 130).astype(np.uint16),
    }
    for turn in range(3):
        for name, shape in shapes.items():
            arrays[f"turn{turn}.{name}.weights"] = numbers(*shape).astype(np.int8)
            arrays[f"turn{turn}.{name}.bias"] = (numbers(shape[0]) * 99).astype(np.int32)
        arrays[f"turn{turn}.shifts"] = np.array([8, 7, 6], np.int8)
    return Tables.from_arrays(arrays)


def make_grid(height, width):
    """Tokens of 4 codes and 3 turns."""
    i, j = np.indices((height, width))
    lengths = (i * i * 5 + j * 3) // 7 % 4
    turn = np.arange(3)
    codes = (i[..., None] // 4 + j[..., None] * 3 + turn * 5) // 3 % 4
    codes = np.where((i + j)[..., None] % 5 == turn, CONTINUE, codes)
    return CodedTokens(np.where(turn < lengths[..., None], codes, PAD), lengths)
