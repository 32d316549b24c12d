"""When a vector has enough tokens: two rules, read off the errors along its walk.

``threshold`` certifies: go on until the error is at most the threshold. ``rate_distortion`` weighs:
of all places to stop take the one where squared error plus a price per token is least, the price
being a share of the squared threshold. It leaves some vectors outside of the threshold, where the
next tokens would not have helped enough, and spends what that saves elsewhere.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from loopyvq.quantize.residual.walk import Walk
from loopyvq.tokens import PAD

__all__ = ["rate_distortion_lengths", "threshold_lengths", "truncate"]


def threshold_lengths(
    norms: Float[Tensor, "n m"], thresholds: Float[Tensor, "#n p"], min_length: int
) -> Int[Tensor, "n p"]:
    """Count the turns until the error is at most the threshold.

    Args:
        norms: errors before each turn of a full walk and after the last.
        thresholds: stop distances, per vector or the same for all.
        min_length: turns that run in any case.

    Returns:
        Lengths; ``m - 1`` where the error never gets there.
    """
    least = norms[:, :-1].cummin(dim=1).values
    return (least.unsqueeze(2) > thresholds.unsqueeze(1)).sum(dim=1).clamp(min=min_length)


def rate_distortion_lengths(
    norms: Float[Tensor, "n m"],
    thresholds: Float[Tensor, "#n p"],
    min_length: int,
    token_price: float,
) -> Int[Tensor, "n p"]:
    """Find the length with the least sum of squared error and price.

    Args:
        norms: errors before each turn of a full walk and after the last.
        thresholds: stop distances, per vector or the same for all.
        min_length: turns that run in any case.
        token_price: price of a token, as a share of the squared threshold.

    Returns:
        Lengths; the shortest among equals.

    Example:
        >>> norms = torch.tensor([[1.0, 0.5, 0.45]])
        >>> rate_distortion_lengths(norms, torch.tensor([[0.4, 0.1]]), 0, 0.5).tolist()
        [[1, 2]]
    """
    turn = torch.arange(norms.shape[1], device=norms.device)
    price = token_price * thresholds.square().unsqueeze(1) * turn[:, None]
    cost = norms.square().unsqueeze(2) + price
    allowed = (turn >= min_length)[:, None]
    return cost.where(allowed, torch.inf).argmin(dim=1)


def truncate(walk: Walk, lengths: Int[Tensor, " n"], threshold: Float[Tensor, " n"]) -> Walk:
    """End each walk after some of its turns.

    Args:
        walk: what a loop found.
        lengths: turns to keep; more than ran changes nothing.
        threshold: the stop distance, to tell which vectors came within it.

    Returns:
        The shorter walk.
    """
    lengths = torch.minimum(lengths, walk.lengths)
    turn = torch.arange(walk.norms.shape[1], device=lengths.device)
    kept = turn[:-1] < lengths.unsqueeze(1)
    norms = walk.norms.gather(1, torch.minimum(turn, lengths.unsqueeze(1)))
    return Walk(walk.codes.where(kept, PAD), lengths, norms, norms[:, -1] <= threshold)
