"""Boxes around things: the pieces of a label map, each with its label and its four sides.

label map --join equal neighbours--> pieces --the largest--> class, top, left, bottom, right
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from jaxtyping import Int, Integer
from torch import Tensor

from loopyvq.config import require_numbers
from loopyvq.errors import ConfigError

__all__ = ["BoxConfig", "box_in_steps", "boxes_of", "pieces_of"]


@dataclass(frozen=True)
class BoxConfig:
    """Which pieces of a label map get a box, and how finely its sides are told.

    Attributes:
        num_boxes: most boxes of an image; the largest pieces are taken.
        bins: steps along each side of the image in which the sides of boxes are told.
        min_share: smallest piece that gets a box, as a share of the image's pixels.
        max_share: largest piece that gets one; below 1 it leaves out a background that fills the
            image.

    Raises:
        ConfigError: a value is outside its range.
    """

    num_boxes: int = 16
    bins: int = 64
    min_share: float = 0.001
    max_share: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_numbers(self, "at least 1", "num_boxes", "bins")
        if not 0 <= self.min_share <= self.max_share <= 1:
            raise ConfigError(
                f"min_share and max_share of boxes must be within 0..1 and in this order, "
                f"got {self.min_share} and {self.max_share}"
            )


def boxes_of(labels: Integer[Tensor, "H W"], config: BoxConfig) -> Int[Tensor, "n 5"]:
    """Put a box around the largest pieces of a label map.

    Args:
        labels: one label per pixel, 0 or more.
        config: which pieces, in how many steps.

    Returns:
        ``num_boxes`` rows of class, top, left, bottom, right, the largest piece first, of equal
        ones the one that comes first in the order of reading: the class is the label, the sides
        are the first and the last step that the piece touches. Where there are fewer pieces, rows
        of class -1.

    Example:
        >>> labels = torch.tensor([[0, 0, 0, 0], [0, 0, 7, 7], [0, 0, 7, 7], [0, 0, 0, 0]])
        >>> boxes_of(labels, BoxConfig(num_boxes=3, bins=4)).tolist()
        [[0, 0, 0, 3, 3], [7, 1, 2, 2, 3], [-1, 0, 0, 0, 0]]
    """
    values = labels.cpu().numpy()
    height, width = values.shape
    owner = pieces_of(values).ravel()
    first, place, areas = np.unique(owner, return_inverse=True, return_counts=True)
    shares = areas / owner.size
    wanted = np.flatnonzero((shares >= config.min_share) & (shares <= config.max_share))
    chosen = wanted[np.argsort(-areas[wanted], kind="stable")][: config.num_boxes]
    rows, columns = np.divmod(np.arange(owner.size), width)
    boxes = torch.zeros(config.num_boxes, 5, dtype=torch.int64)
    boxes[:, 0] = -1
    for number, piece in enumerate(chosen.tolist()):
        mine = place == piece
        y, x = rows[mine], columns[mine]
        ends = (
            Fraction(int(y.min()), height),
            Fraction(int(x.min()), width),
            Fraction(int(y.max()) + 1, height),
            Fraction(int(x.max()) + 1, width),
        )
        label = int(values.ravel()[first[piece]])
        boxes[number] = torch.tensor([label, *box_in_steps(ends, config.bins)])
    return boxes


def box_in_steps(
    ends: tuple[Fraction, Fraction, Fraction, Fraction], bins: int
) -> tuple[int, int, int, int]:
    """Tell in which steps a box begins and ends.

    Args:
        ends: top, left, bottom, right as shares of the image, exact so that no rounding moves a
            side that lies between two steps; top above bottom, left of right.
        bins: steps along each side of the image.

    Returns:
        The first and the last step that the box touches, each within ``0..bins-1``.

    Example:
        >>> box_in_steps((Fraction(0), Fraction(1, 4), Fraction(1, 2), Fraction(1)), 8)
        (0, 2, 3, 7)
    """
    top, left, bottom, right = (end * bins for end in ends)
    return int(top), int(left), -int(-bottom // 1) - 1, -int(-right // 1) - 1


def pieces_of(values: Integer[np.ndarray, "H W"]) -> Integer[np.ndarray, "H W"]:
    """Join neighbours of equal value, those above, below, left and right of each other.

    Args:
        values: one per pixel.

    Returns:
        For every pixel the number of the first pixel of its piece, in the order of reading.

    Example:
        >>> pieces_of(np.array([[5, 5, 2], [2, 5, 2]]))
        array([[0, 0, 2],
               [3, 0, 2]])

    References:
        Joining by the lowest number, with pointers that jump: "An O(log n) parallel connectivity
        algorithm", Shiloach and Vishkin 1982, https://doi.org/10.1016/0196-6774(82)90008-6
    """
    owner = np.arange(values.size)
    number = owner.reshape(values.shape)
    across, down = values[:, :-1] == values[:, 1:], values[:-1] == values[1:]
    one = np.concatenate([number[:, :-1][across], number[:-1][down]])
    other = np.concatenate([number[:, 1:][across], number[1:][down]])
    while len(one):
        low, high = np.minimum(owner[one], owner[other]), np.maximum(owner[one], owner[other])
        np.minimum.at(owner, high, low)
        while not np.array_equal(owner, owner[owner]):
            owner = owner[owner]
        apart = owner[one] != owner[other]
        one, other = one[apart], other[apart]
    return owner.reshape(values.shape)
