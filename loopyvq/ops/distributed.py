"""Sums and samples over all processes of a data-parallel run; alone, they change nothing."""

import torch
from torch import Tensor, distributed

__all__ = ["gather_over_ranks", "sum_over_ranks"]


def is_parallel() -> bool:
    """Whether several processes train together; asked at each call, never remembered."""
    return distributed.is_available() and distributed.is_initialized()


def sum_over_ranks(values: Tensor) -> Tensor:
    """Add a tensor of the same shape on every process.

    Args:
        values: any tensor; it is not changed.

    Returns:
        The sum, equal to the last bit on every process.
    """
    if not is_parallel():
        return values
    total = values.clone()
    distributed.all_reduce(total)
    return total


def gather_over_ranks(values: Tensor) -> Tensor:
    """Join a tensor of the same shape from every process along the first axis.

    Args:
        values: any tensor with at least one axis.

    Returns:
        The tensors in the order of the ranks.
    """
    if not is_parallel():
        return values
    gathered = [torch.empty_like(values) for _ in range(distributed.get_world_size())]
    distributed.all_gather(gathered, values.contiguous())
    return torch.cat(gathered)
