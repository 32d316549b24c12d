"""The kernel distance between two sets of features: no Gaussian is assumed, and it has no bias.

In the features of a certain Inception network it is KID; in others name it after them.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from loopyvq.metrics.frechet import require_features

__all__ = ["KernelDistance", "kernel_distance", "squared_discrepancy"]


class KernelDistance(NamedTuple):
    """The distance over random subsets.

    Attributes:
        mean: over the subsets; a little below 0 is possible, and means no difference.
        std: over the subsets, with ``subsets - 1`` degrees of freedom; 0 for one subset.
    """

    mean: float
    std: float


def kernel_distance(
    first: Float[Tensor, "n d"],
    second: Float[Tensor, "m d"],
    generator: torch.Generator,
    subsets: int = 100,
    subset_size: int = 250,
) -> KernelDistance:
    """Average the squared maximum mean discrepancy over random subsets.

    Args:
        first: one row per image.
        second: the same features of other images.
        generator: draws the subsets; on the CPU.
        subsets: how many, at least 1.
        subset_size: images of each set in a subset, at least 2; cut down to half of the smaller
            set, so that subsets differ.

    Returns:
        Mean and standard deviation.

    Raises:
        ValueError: a number is out of range, a set has fewer than two rows or holds numbers that
            are not finite, or the widths differ.

    References:
        Binkowski et al., "Demystifying MMD GANs", 2018, https://arxiv.org/abs/1801.01401

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> images = torch.randn(200, 4, generator=generator)
        >>> kernel_distance(images[:100], images[100:] + 1, generator).mean > 0.5
        True
    """
    require_features(first, second, least=2)
    if subsets < 1 or subset_size < 2:
        raise ValueError(
            f"there must be at least 1 subset of at least 2 images, got {subsets} of {subset_size}"
        )
    size = min(subset_size, max(2, min(len(first), len(second)) // 2))
    found = []
    for _ in range(subsets):
        chosen = [torch.randperm(len(rows), generator=generator)[:size] for rows in (first, second)]
        found.append(squared_discrepancy(first[chosen[0]], second[chosen[1]]))
    values = torch.tensor(found, dtype=torch.float64)
    return KernelDistance(float(values.mean()), float(values.std()) if subsets > 1 else 0.0)


def squared_discrepancy(first: Float[Tensor, "n d"], second: Float[Tensor, "m d"]) -> float:
    """Estimate the squared maximum mean discrepancy without bias.

    The kernel is ``(x . y / d + 1)^3``; pairs of a row with itself are left out.

    Args:
        first: at least two rows.
        second: the same of other images.

    Returns:
        The estimate; it may be below 0.

    Raises:
        ValueError: as of `kernel_distance`.
    """
    require_features(first, second, least=2)
    first, second = first.double(), second.double()
    within = sum(
        (kernel.sum() - kernel.trace()) / (len(kernel) * (len(kernel) - 1))
        for kernel in (_kernel(first, first), _kernel(second, second))
    )
    return float(within - 2 * _kernel(first, second).mean())


def _kernel(first: Tensor, second: Tensor) -> Tensor:
    kernel: Tensor = (first @ second.T / first.shape[1] + 1) ** 3
    return kernel
