"""Codes of few entries: which entries of a code may differ from zero.

A code that fills a wide latent can only help where *all* of its entries fit what is left, and after
a few turns none does. A code of two or four entries mends what it can and leaves the rest alone,
so that turns go on removing error; codes of sixteen say more while much is left. A codebook that
mixes them has both (docs/experiments.md, 2026-11-28). Nothing is said about *which* entries: every
code keeps those that are largest in its least-squares mean, which is the best choice of so many.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["keep_largest", "support_of_codes"]


def support_of_codes(supports: Sequence[int], size: int) -> Int[Tensor, " k"]:
    """Say how many entries each code has.

    Args:
        supports: numbers of entries, for equal shares of the codes, at least one number.
        size: number of codes.

    Returns:
        The number of every code, in the order of the codes.

    Example:
        >>> support_of_codes((2, 4, 8), 7).tolist()
        [2, 2, 2, 4, 4, 8, 8]
    """
    share = torch.arange(size) * len(supports) // size
    return torch.tensor(supports)[share]


def keep_largest(
    codes: Float[Tensor, "k d"], support: Int[Tensor, " k"] | None
) -> Float[Tensor, "k d"]:
    """Set all entries of each code to zero but the largest.

    Args:
        codes: full codes.
        support: how many entries each of them keeps; None for all.

    Returns:
        The codes; of equal magnitudes the first are kept.

    References:
        The nearest vector with so many entries: Blumensath and Davies, "Iterative Hard
        Thresholding for Compressed Sensing", 2009, equation 9, https://arxiv.org/abs/0805.0510

    Example:
        >>> codes = torch.tensor([[3.0, -4.0, 1.0], [1.0, 1.0, 0.5]])
        >>> keep_largest(codes, torch.tensor([2, 1])).tolist()
        [[3.0, -4.0, 0.0], [1.0, 0.0, 0.0]]
    """
    if support is None:
        return codes
    order = codes.abs().argsort(dim=1, descending=True, stable=True)
    kept = torch.arange(codes.shape[1], device=codes.device) < support.to(codes.device)[:, None]
    return torch.where(torch.zeros_like(kept).scatter(1, order, kept), codes, 0.0)
