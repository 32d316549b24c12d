"""Boxes that a person writes down, as a prior takes them."""

from collections.abc import Sequence
from fractions import Fraction

import torch

from loopyvq.conditions import Condition
from loopyvq.data import box_in_steps
from loopyvq.data.token_source import TokenSource
from loopyvq.errors import ConfigError

__all__ = ["told_boxes"]


def told_boxes(source: TokenSource, words: Sequence[str], count: int) -> Condition:
    """Tell a prior of boxes where things shall be.

    Args:
        source: knows how many boxes there may be, of how many classes, in what steps.
        words: one per box, ``CLASS,TOP,LEFT,BOTTOM,RIGHT``: a number, then shares of the image.
        count: number of images.

    Returns:
        The same boxes for every image. Without words a prior of boxes is told of none, as of the
        training images whose condition was withheld; any other one nothing.

    Raises:
        ConfigError: the prior knows no boxes or fewer, or a word is no box.

    Example:
        >>> from loopyvq.data import BoxConfig
        >>> source = TokenSource(box_classes=12, boxes=BoxConfig(num_boxes=2, bins=64))
        >>> told_boxes(source, ["3,0.25,0,0.5,1"], 1).boxes.tolist()
        [[[3, 16, 0, 31, 63], [-1, 0, 0, 0, 0]]]
    """
    most = source.boxes.num_boxes
    if not source.box_classes:
        if words:
            raise ConfigError("this prior was trained without boxes: leave --box out")
        return Condition()
    if len(words) > most:
        raise ConfigError(f"this prior knows up to {most} boxes, got {len(words)}")
    boxes = torch.zeros(most, 5, dtype=torch.int64)
    boxes[:, 0] = -1
    for number, word in enumerate(words):
        boxes[number] = torch.tensor(_read(word, source))
    return Condition(boxes=boxes.expand(count, -1, -1))


def _read(word: str, source: TokenSource) -> list[int]:
    """Read one box."""
    label, *sides = word.split(",")
    try:
        kind = int(label)
        top, left, bottom, right = (Fraction(side) for side in sides)
    except (ValueError, ZeroDivisionError) as error:
        raise ConfigError(
            f"a box is CLASS,TOP,LEFT,BOTTOM,RIGHT such as 3,0.2,0.1,0.9,0.4, got {word!r}"
        ) from error
    if not 0 <= kind < source.box_classes:
        raise ConfigError(
            f"the class of a box must be within 0..{source.box_classes - 1}, got {word!r}"
        )
    if not (0 <= top < bottom <= 1 and 0 <= left < right <= 1):
        raise ConfigError(
            f"the sides of a box are shares of the image, top above bottom and left of right, "
            f"got {word!r}"
        )
    return [kind, *box_in_steps((top, left, bottom, right), source.boxes.bins)]
