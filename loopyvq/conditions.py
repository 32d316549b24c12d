"""What is known of images before their tokens: a class, a map of symbols, a place, boxes."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["Condition"]


class Condition(NamedTuple):
    """Conditions of a batch of images; any of them may be missing.

    Attributes:
        classes: ``b``; the class of each image.
        symbols: ``b h2 w2``; a map of symbols such as labels or another tokenizer's codes, on the
            grid of sites or one that is a whole number of times coarser or finer.
        places: ``b h w 2``; row and column of each site in a larger image, each in [0, 1].
        boxes: ``b n 5``; class, top, left, bottom, right of things in the image, the sides in
            whole steps from 0; class -1 where there are fewer than ``n``.

    Example:
        >>> condition = Condition(classes=torch.tensor([3, 5]))
        >>> condition.select(torch.tensor([1])).classes
        tensor([5])
        >>> condition.batch
        2
    """

    classes: Int[Tensor, " b"] | None = None
    symbols: Int[Tensor, "b h2 w2"] | None = None
    places: Float[Tensor, "b h w 2"] | None = None
    boxes: Int[Tensor, "b n 5"] | None = None

    @property
    def batch(self) -> int | None:
        """Number of images, None where there is no condition at all."""
        return next((len(item) for item in self if item is not None), None)

    def select(self, index: Int[Tensor, " n"]) -> "Condition":
        """Take some of the images.

        Args:
            index: their numbers; one may come twice.

        Returns:
            Their conditions, in that order.
        """
        return Condition(*(None if item is None else item[index] for item in self))

    def to(self, device: torch.device | str) -> "Condition":
        """Move to a device."""
        return Condition(*(None if item is None else item.to(device) for item in self))
