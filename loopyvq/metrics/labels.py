"""How well label maps agree."""

from typing import NamedTuple

import torch
from jaxtyping import Int, Integer
from torch import Tensor

__all__ = ["LabelAgreement", "count_agreement", "measure_agreement"]


class LabelAgreement(NamedTuple):
    """How well found labels agree with the true ones.

    Attributes:
        pixel_accuracy: share of pixels with the right label.
        mean_iou: the intersection of found and true pixels over their union, mean over the labels
            that occur among either.
    """

    pixel_accuracy: float
    mean_iou: float


def count_agreement(
    found: Integer[Tensor, "*b H W"], truth: Integer[Tensor, "..."], num_labels: int
) -> Int[Tensor, "n n"]:
    """Count the pixels of every pair of labels; counts of several maps can be added.

    Args:
        found: labels, each below ``num_labels``.
        truth: the right ones, of the same shape.
        num_labels: how many there are.

    Returns:
        Pixels by true (row) and found label (column).

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> count_agreement(torch.tensor([[0, 1]]), torch.tensor([[0, 0]]), 2).tolist()
        [[1, 1], [0, 0]]
    """
    if found.shape != truth.shape:
        raise ValueError(
            f"label maps must have one shape, got {tuple(found.shape)} and {tuple(truth.shape)}"
        )
    pairs = truth.long().flatten() * num_labels + found.long().flatten()
    return torch.bincount(pairs, minlength=num_labels**2).view(num_labels, num_labels)


def measure_agreement(counts: Int[Tensor, "n n"]) -> LabelAgreement:
    """Sum counts up to two numbers.

    Args:
        counts: what `count_agreement` gave, of at least one pixel.

    Returns:
        The agreement.

    Raises:
        ValueError: nothing was counted.

    Example:
        >>> measure_agreement(torch.tensor([[1, 1], [0, 0]]))
        LabelAgreement(pixel_accuracy=0.5, mean_iou=0.25)

    References:
        M. Everingham et al., "The PASCAL Visual Object Classes Challenge: A Retrospective", 2015,
        https://doi.org/10.1007/s11263-014-0733-5
    """
    total = int(counts.sum())
    if total == 0:
        raise ValueError("no pixel was counted")
    right = counts.diag().double()
    union = counts.sum(dim=0) + counts.sum(dim=1) - counts.diag()
    occurs = union > 0
    ious = right[occurs] / union[occurs]
    return LabelAgreement(float(right.sum()) / total, float(ious.mean()))
