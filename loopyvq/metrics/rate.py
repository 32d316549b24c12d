"""How many bits tokens would take: an estimate that a real adaptive coder reaches.

The estimate is the code length of adaptive counts (Krichevsky-Trofimov), so the cost of learning
every table is in it. Nothing is fitted beforehand, so no scheme gains from tables of its own.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from loopyvq.tokens import CONTINUE, Tokens

__all__ = ["RateEstimate", "adaptive_bits", "estimate_rate"]


class RateEstimate(NamedTuple):
    """Estimated sizes, in bits, of a set of tokens.

    Attributes:
        code_bits: of codes and dummies, each turn with a table of its own.
        stop_bits: of the lengths, in the context of the left and the upper neighbour; 0 when all
            sites have the same length, as one number in a header says it.
        num_tokens: tokens of all sites, dummies included.
        num_sites: sites.
    """

    code_bits: float
    stop_bits: float
    num_tokens: int
    num_sites: int

    @property
    def total_bits(self) -> float:
        """Codes and stops together."""
        return self.code_bits + self.stop_bits


def adaptive_bits(counts: Int[Tensor, "contexts symbols"]) -> float:
    """Give the length in bits of sequences coded with adaptive counts that start at one half.

    The length depends on the counts alone, not on their order:
    ``log2 G(N + K/2) - log2 G(K/2) - sum_k (log2 G(n_k + 1/2) - log2 G(1/2))`` per context.

    Args:
        counts: how often each symbol came in each context.

    Returns:
        Bits over all contexts.

    References:
        Krichevsky and Trofimov, "The Performance of Universal Encoding", IEEE Transactions on
        Information Theory, 1981, https://doi.org/10.1109/TIT.1981.1056331

    Example:
        >>> round(adaptive_bits(torch.tensor([[1, 0]])), 3)
        1.0
    """
    exact = counts.double()
    half = torch.tensor(0.5, dtype=torch.float64)
    start = torch.tensor(counts.shape[1] / 2, dtype=torch.float64)
    whole = torch.lgamma(exact.sum(dim=1) + start) - torch.lgamma(start)
    parts = (torch.lgamma(exact + half) - torch.lgamma(half)).sum(dim=1)
    return float((whole - parts).sum()) / math.log(2)


def estimate_rate(tokens: Sequence[Tokens], codebook_size: int) -> RateEstimate:
    """Estimate the size of tokens that are coded together.

    Args:
        tokens: sites of shape ``h w`` or ``b h w``; grids may differ in size.
        codebook_size: number of codes.

    Returns:
        The bits of codes and stops.
    """
    depth = max((item.max_depth for item in tokens), default=0)
    code_counts = torch.zeros(depth, codebook_size + 1, dtype=torch.int64)
    stop_counts = torch.zeros((depth + 2) ** 2, depth + 1, dtype=torch.int64)
    num_tokens = num_sites = 0
    for item in tokens:
        code_counts += _count_codes(item.codes.cpu(), depth, codebook_size)
        stop_counts += _count_stops(item.lengths.cpu(), depth)
        num_tokens += item.num_tokens
        num_sites += item.lengths.numel()
    one_length = int((stop_counts.sum(dim=0) > 0).sum()) <= 1
    stop_bits = 0.0 if one_length else adaptive_bits(stop_counts)
    return RateEstimate(adaptive_bits(code_counts), stop_bits, num_tokens, num_sites)


def _count_codes(codes: Int[Tensor, "*n l"], depth: int, size: int) -> Int[Tensor, "m k"]:
    """Count codes per turn; a dummy counts as code number ``size``."""
    flat = codes.reshape(-1, codes.shape[-1])
    turn = torch.arange(flat.shape[1]).expand_as(flat)
    emitted = (flat >= 0) | (flat == CONTINUE)
    symbol = torch.where(flat == CONTINUE, size, flat)
    index = (turn * (size + 1) + symbol)[emitted]
    return torch.bincount(index, minlength=depth * (size + 1)).reshape(depth, size + 1)


def _count_stops(lengths: Int[Tensor, "*b h w"], depth: int) -> Int[Tensor, "c m"]:
    """Count lengths per pair of neighbours; outside the image counts as length ``depth + 1``."""
    outside = depth + 1
    grid = torch.nn.functional.pad(lengths, (1, 0, 1, 0), value=outside)
    context = grid[..., 1:, :-1] * (depth + 2) + grid[..., :-1, 1:]
    index = (context * (depth + 1) + lengths).reshape(-1)
    cells = (depth + 2) ** 2 * (depth + 1)
    return torch.bincount(index, minlength=cells).reshape((depth + 2) ** 2, depth + 1)
