"""What is left over wide areas, said once for all of their sites.

A faint colour of a whole sky is too small an error to be worth a token at any of its sites, and
together those sites show it. So what a reader would see is compared with the image, the difference
is averaged over cells of 8 x 8 sites, and a grid of these goes into the file; the reader adds it.

    image - painted --means--> grid --coarsest level first--> whole numbers --> payload
    payload --> whole numbers --> grid --cubic curves through its points--> added to painted

A level holds what the levels above it, interpolated, leave of its cells' means.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor
from torch.nn import functional as F

from loopyvq.codec.pixels import rows_at_once, squared_error
from loopyvq.coding import decode_integers, encode_integers
from loopyvq.coding.integers import LARGEST_INTEGER
from loopyvq.errors import BitstreamError
from loopyvq.ops.cubic import interpolated

__all__ = ["Coarse", "add_coarse", "fit_coarse", "read_coarse", "without_coarse"]

_CELL_SITES = 8  # along a side
# The grid is halved until it has no more cells than this along a side.
_COARSEST = 4
# The step of the finest level's numbers, in levels, is 2 ** (byte / 8 - 8).
_STEPS_PER_OCTAVE = 8
_LEAST_OCTAVE = -8
_LARGEST_BYTE = 255
# Squared step over the price of a bit; for fine steps 6 / ln 2, and more where most numbers are 0.
_SQUARED_STEP = 16.0
# A number is rounded up from this much of a step, not from a half: 0 costs less.
_ROUNDED_UP = 0.67
# What numbers are likely before any is known: each half as likely as the next smaller one.
_LIKELY = np.array([64 >> ((rank + 1) // 2) for rank in range(13)])
# Kind, length and check sum of a chunk.
_CHUNK_BITS = 8 * 6
# The axes of colour: brightness, red to blue, green to purple.
_AXES = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]], dtype=torch.float64)
_AXES /= _AXES.norm(dim=1, keepdim=True)
# Points between cells, to average curves over them.
_POINTS_PER_CELL = 4


class Coarse(NamedTuple):
    """A coarse residual.

    Attributes:
        payload: of the ``coarse`` chunk.
        grid: levels to add, one value per channel and cell, as `read_coarse` gives it.
    """

    payload: bytes
    grid: Float64[Tensor, "c h w"]


def fit_coarse(
    image: UInt8[Tensor, "c H W"],
    painted: UInt8[Tensor, "c H W"],
    sites: tuple[int, int],
    price: float,
) -> Coarse | None:
    """Find what is worth being said of the difference between two images.

    Args:
        image: what was meant, grey or colour.
        painted: what a reader would see.
        sites: rows and columns of its sites.
        price: of a bit, in squared levels summed over pixels and channels, above 0.

    Returns:
        The residual; None if it saves less than it costs.

    Example:
        >>> image = torch.full((3, 64, 64), 100, dtype=torch.uint8)
        >>> found = fit_coarse(image + 4, image, (8, 8), price=10.0)
        >>> found.grid.round().unique().tolist()
        [4.0]
    """
    sizes = _sizes(sites)
    means = _meant(image, painted, sizes[-1])
    byte = _step_byte(price, image[0].numel(), sizes[-1])
    grid, numbers = torch.zeros(len(image), *sizes[0], dtype=torch.float64), []
    for level, step in zip(sizes, _steps(byte, len(sizes)), strict=True):
        grid = interpolated(grid, *level)
        left = (_means(means, level) - grid) / step
        found = left.sign() * (left.abs() + 1 - _ROUNDED_UP).floor().clamp(max=LARGEST_INTEGER)
        numbers.append(found.flatten())
        grid = grid + found * step
    payload = bytes([byte]) + encode_integers(torch.cat(numbers).long().numpy(), _LIKELY)
    grid = _turned_back(grid)
    seen = add_coarse(painted.clone(), grid)
    saved = squared_error(image, painted) - squared_error(image, seen)
    if not saved > price * (8 * len(payload) + _CHUNK_BITS):
        return None
    return Coarse(payload, grid)


def read_coarse(payload: bytes, channels: int, sites: tuple[int, int]) -> Float64[Tensor, "c h w"]:
    """Read a grid.

    Args:
        payload: of a ``coarse`` chunk.
        channels: of the image, 1 or 3.
        sites: rows and columns of its sites.

    Returns:
        Levels to add, one value per channel and cell.

    Raises:
        BitstreamError: no writer makes such a payload.
    """
    if not payload:
        raise BitstreamError("the coarse residual is empty")
    sizes = _sizes(sites)
    counts = [channels * rows * columns for rows, columns in sizes]
    whole = torch.from_numpy(decode_integers(payload[1:], sum(counts), _LIKELY)).double()
    grid = torch.zeros(channels, *sizes[0], dtype=torch.float64)
    parts, steps = torch.split(whole, counts), _steps(payload[0], len(sizes))
    for level, part, step in zip(sizes, parts, steps, strict=True):
        grid = interpolated(grid, *level) + part.view(channels, *level) * step
    return _turned_back(grid)


def add_coarse(
    painted: UInt8[Tensor, "c H W"], grid: Float64[Tensor, "c h w"]
) -> UInt8[Tensor, "c H W"]:
    """Add a coarse residual.

    Args:
        painted: what the decoder's network made of the sites; it is changed.
        grid: levels to add.

    Returns:
        The same tensor: what a reader sees.
    """
    height, width = painted.shape[1:]
    down = interpolated(grid, height, grid.shape[2])
    step = rows_at_once(width)
    for top in range(0, height, step):
        part = painted[:, top : top + step]
        added = part.double() + interpolated(down[:, top : top + step], part.shape[1], width)
        part.copy_(added.round().clamp(0, 255))
    return painted


def without_coarse(
    image: UInt8[Tensor, "c H W"], grid: Float64[Tensor, "c h w"]
) -> UInt8[Tensor, "c H W"]:
    """Take a coarse residual away: what is left for the sites to say.

    Args:
        image: what was meant.
        grid: levels that will be added.

    Returns:
        The rest; where it would leave 0 to 255, the nearest of these.
    """
    return add_coarse(image.clone(), -grid)


def _sizes(sites: tuple[int, int]) -> list[tuple[int, int]]:
    """List the rows and columns of all levels, the coarsest first."""
    sizes = [(-(-sites[0] // _CELL_SITES), -(-sites[1] // _CELL_SITES))]
    while max(sizes[-1]) > _COARSEST:
        rows, columns = sizes[-1]
        sizes.append((-(-rows // 2), -(-columns // 2)))
    return sizes[::-1]


def _step_byte(price: float, num_pixels: int, cells: tuple[int, int]) -> int:
    """Choose a step for a price."""
    squared = max(_SQUARED_STEP * price * math.prod(cells) / num_pixels, 1e-300)
    byte = round(_STEPS_PER_OCTAVE * (math.log2(squared) / 2 - _LEAST_OCTAVE))
    return min(max(byte, 0), _LARGEST_BYTE)


def _steps(byte: int, count: int) -> list[float]:
    """Give the steps of all levels; errors of larger cells show in more pixels."""
    finest = 2.0 ** (byte / _STEPS_PER_OCTAVE + _LEAST_OCTAVE)
    return [float(finest / 2**halvings) for halvings in reversed(range(count))]


def _meant(
    image: UInt8[Tensor, "c H W"], painted: UInt8[Tensor, "c H W"], size: tuple[int, int]
) -> Float64[Tensor, "c h w"]:
    """Find the points through which curves have the means of what cells miss, nearly."""
    planes = zip(image.split(1), painted.split(1), strict=True)
    missing = torch.cat([_means(meant.float() - seen.float(), size) for meant, seen in planes])
    means = _turned(missing.double())
    curves = interpolated(means, *(_POINTS_PER_CELL * side for side in size))
    return 2 * means - F.avg_pool2d(curves, _POINTS_PER_CELL)


def _means(planes: Float[Tensor, "c h w"], size: tuple[int, int]) -> Float[Tensor, "c h2 w2"]:
    return F.adaptive_avg_pool2d(planes, size)


def _turned(planes: Float64[Tensor, "c h w"]) -> Float64[Tensor, "c h w"]:
    """Turn colours to axes of their own; grey stays as it is."""
    return planes if planes.shape[0] == 1 else torch.einsum("ij,jhw->ihw", _AXES, planes)


def _turned_back(planes: Float64[Tensor, "c h w"]) -> Float64[Tensor, "c h w"]:
    return planes if planes.shape[0] == 1 else torch.einsum("ij,ihw->jhw", _AXES, planes)
