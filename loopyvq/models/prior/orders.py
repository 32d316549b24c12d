"""In which order the sites of a grid are read: seven ways.

On a grid of 4 x 4, the number of every site in the sequence:

    raster        alternate     z_curve       subsample     spiral_out    spiral_in
     0  1  2  3    0  1  2  3    0  1  4  5    0  4  1  5    9 10 11 12    6  5  4  3
     4  5  6  7    7  6  5  4    2  3  6  7    8 12  9 13    8  1  2 13    7 14 13  2
     8  9 10 11    8  9 10 11    8  9 12 13    2  6  3  7    7  0  3 14    8 15 12  1
    12 13 14 15   15 14 13 12   10 11 14 15   10 14 11 15    6  5  4 15    9 10 11  0

and `random`, which is the same every time.

References:
    "Taming Transformers for High-Resolution Image Synthesis", 2021, figure 47,
    https://arxiv.org/abs/2012.09841
"""

import itertools
from collections.abc import Callable, Iterable

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

__all__ = ["ORDERS", "site_order"]

_RANDOM_SEED = 1
"""taming's; its checkpoints hold the order that this seed gives."""


def site_order(name: str, height: int, width: int) -> Int[Tensor, " n"]:
    """Give the order in which sites are read.

    On grids for which taming has the order (squares, of a power of two where it halves them, of
    even sides where it spirals), it is the same; here every grid has all of them.

    Args:
        name: one of `ORDERS`; ``random`` is the same every time.
        height: sites along the height, at least 1.
        width: along the width.

    Returns:
        Indices into the sites in reading order, first the one that comes first.

    Raises:
        ValueError: the name is unknown or the grid is empty.

    Example:
        >>> site_order("alternate", 2, 3).tolist()
        [0, 1, 2, 5, 4, 3]
    """
    if name not in ORDERS:
        raise ValueError(f"an order is one of {', '.join(ORDERS)}, got {name!r}")
    if min(height, width) < 1:
        raise ValueError(f"a grid must have at least 1 x 1 sites, got {height} x {width}")
    return ORDERS[name](height, width)


def _raster(height: int, width: int) -> Tensor:
    return torch.arange(height * width)


def _alternate(height: int, width: int) -> Tensor:
    """Go back along every second row."""
    sites = torch.arange(height * width).reshape(height, width)
    sites[1::2] = sites[1::2].flip(1)
    return sites.flatten()


def _z_curve(height: int, width: int) -> Tensor:
    """Finish a quarter before the next, on every scale."""
    return _by_bits(height, width, range(max(height, width).bit_length()))


def _subsample(height: int, width: int) -> Tensor:
    """Take a coarse grid, then the three that lie between, on every scale."""
    return _by_bits(height, width, reversed(range(max(height - 1, width - 1).bit_length())))


def _by_bits(height: int, width: int, bits: Iterable[int]) -> Tensor:
    """Sort by the bits of row and column in turn, the least significant of them first."""
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    key = torch.zeros_like(row)
    for place, bit in enumerate(bits):
        key += ((column >> bit) & 1) << (2 * place) | ((row >> bit) & 1) << (2 * place + 1)
    return key.flatten().argsort(stable=True)


def _spiral_out(height: int, width: int) -> Tensor:
    """Walk up, right, down, left around the centre, ever farther; skip what is not on the grid."""
    row, column = height // 2, (width - 1) // 2
    found = [row * width + column]
    directions = itertools.cycle([(-1, 0), (0, 1), (1, 0), (0, -1)])
    for turn, (down, right) in enumerate(directions):
        for _ in range(turn // 2 + 1):
            row, column = row + down, column + right
            if 0 <= row < height and 0 <= column < width:
                found.append(row * width + column)
        if len(found) == height * width:
            break
    return torch.tensor(found)


def _spiral_in(height: int, width: int) -> Tensor:
    return _spiral_out(height, width).flip(0)


def _random(height: int, width: int) -> Tensor:
    # The legacy generator is the one whose numbers are promised never to change.
    generator = np.random.RandomState(_RANDOM_SEED)
    return torch.from_numpy(generator.permutation(height * width)).long()


ORDERS: dict[str, Callable[[int, int], Tensor]] = {
    "raster": _raster,
    "z_curve": _z_curve,
    "spiral_out": _spiral_out,
    "spiral_in": _spiral_in,
    "subsample": _subsample,
    "random": _random,
    "alternate": _alternate,
}
