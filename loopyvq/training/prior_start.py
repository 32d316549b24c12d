"""What a prior knows before its first step: what another one does, or how often symbols come."""

import torch
from jaxtyping import Int
from torch import Tensor, nn

from loopyvq.checkpoint import load_prior, load_weights
from loopyvq.data.token_batch import PackedTokens
from loopyvq.data.token_source import TokenSource
from loopyvq.models.prior.site_prior import SitePrior
from loopyvq.models.priors import PRIORS
from loopyvq.training.prior_config import PriorTrainingConfig

__all__ = ["count_symbols", "start_prior"]

_COUNTED_AT_ONCE = 1 << 18  # places of tokens


def start_prior(
    config: PriorTrainingConfig, source: TokenSource, counts: Int[Tensor, "l v"] | None
) -> nn.Module:
    """Build a prior, fresh or with the weights of another one.

    Args:
        config: the kind, the sizes, and the prior to start from.
        source: where the tokens come from.
        counts: how often each symbol comes at each turn, for fresh weights.

    Returns:
        The prior, in training mode.

    Raises:
        CheckpointError: the other one is missing, damaged, or of other sizes.
    """
    prior: nn.Module = PRIORS[config.kind].model(config.prior_for(source))
    if config.start_from:
        load_weights(prior, load_prior(config.start_from).state_dict(), config.start_from)
    elif isinstance(prior, SitePrior) and counts is not None:
        prior.start_from(counts)
    return prior


def count_symbols(
    packed: PackedTokens, rows: Int[Tensor, " n"], codebook_size: int
) -> Int[Tensor, "l v"]:
    """Count what comes at each turn.

    Args:
        packed: tokens of images.
        rows: the images that count.
        codebook_size: number of codes.

    Returns:
        For every turn how often each code, CONTINUE and STOP come; a site of the largest length has
        no STOP.

    Example:
        >>> from loopyvq.conditions import Condition
        >>> from loopyvq.tokens import PAD, Tokens
        >>> tokens = Tokens(torch.tensor([[[[1, 0]], [[1, PAD]]]]), torch.tensor([[[2], [1]]]))
        >>> packed = PackedTokens.pack(tokens, Condition())
        >>> count_symbols(packed, torch.tensor([0]), 2).tolist()
        [[0, 2, 0, 0], [1, 0, 0, 1]]
    """
    width, depth = codebook_size + 2, packed.max_depth
    counted = torch.zeros(depth * width, dtype=torch.int64)
    images = max(1, _COUNTED_AT_ONCE // (packed.lengths[0].numel() * depth))
    for some in rows.split(images):
        codes, lengths = packed.select(some).tokens
        turn = torch.arange(depth).expand_as(codes)
        ran = turn < lengths.unsqueeze(-1)
        symbols = torch.where(codes < 0, codebook_size, codes)
        of_codes = (turn * width + symbols)[ran]
        stops = lengths[lengths < depth] * width + codebook_size + 1
        counted += torch.bincount(torch.cat([of_codes, stops]), minlength=depth * width)
    return counted.reshape(depth, width)
