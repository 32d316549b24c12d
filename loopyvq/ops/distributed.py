"""Sums and samples over all processes of a data-parallel run; alone, they change nothing."""

import torch
from torch import Tensor, distributed

__all__ = [
    "copy_from_first_rank",
    "gather_over_ranks",
    "gather_rows_over_ranks",
    "is_parallel",
    "mean_over_ranks",
    "num_ranks",
    "sum_over_ranks",
]


def is_parallel() -> bool:
    """Whether several processes train together; asked at each call, never remembered."""
    return distributed.is_available() and distributed.is_initialized()


def num_ranks() -> int:
    """Count the processes that train together; 1 alone."""
    return distributed.get_world_size() if is_parallel() else 1


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


def mean_over_ranks(values: Tensor) -> Tensor:
    """Average a tensor of the same shape over the processes; alone, it is given back as it is."""
    return sum_over_ranks(values) / num_ranks() if is_parallel() else values


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


def gather_rows_over_ranks(rows: Tensor, most: int) -> Tensor:
    """Join rows from every process, of which each may have another number.

    Args:
        rows: any number of rows, also none; of the same width and type everywhere.
        most: how many rows one process may give at most; the others are left out.

    Returns:
        The rows in the order of the ranks.
    """
    rows = rows[:most]
    if not is_parallel():
        return rows
    padded = rows.new_zeros(most, *rows.shape[1:])
    padded[: len(rows)] = rows
    filled = torch.arange(most, device=rows.device) < len(rows)
    return gather_over_ranks(padded)[gather_over_ranks(filled.to(torch.uint8)).bool()]


def copy_from_first_rank(values: Tensor) -> Tensor:
    """Give every process what the first one holds.

    Args:
        values: any tensor, of the same shape everywhere; it is not changed.

    Returns:
        The first process's values.
    """
    if not is_parallel():
        return values
    copied = values.clone()
    distributed.broadcast(copied, 0)
    return copied
