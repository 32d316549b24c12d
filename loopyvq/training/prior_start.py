"""What a prior may know before its first step: how often each symbol comes."""

import torch
from jaxtyping import Int
from torch import Tensor

from loopyvq.data.token_batch import PackedTokens

__all__ = ["count_symbols"]


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
    ends = packed.lengths.long().flatten()
    turn = torch.arange(len(packed.codes)) - (ends.cumsum(0) - ends).repeat_interleave(ends)
    chosen = torch.zeros(packed.num_images, dtype=torch.bool)
    chosen[rows] = True
    sites = chosen.repeat_interleave(packed.lengths[0].numel())
    width = codebook_size + 2
    symbols = packed.codes.long()
    symbols = torch.where(symbols < 0, codebook_size, symbols)
    of_codes = (turn * width + symbols)[sites.repeat_interleave(ends)]
    stops = ends[sites & (ends < packed.max_depth)] * width + codebook_size + 1
    counted = torch.bincount(torch.cat([of_codes, stops]), minlength=packed.max_depth * width)
    return counted.reshape(packed.max_depth, width)
