"""Latents of a file to its pixels: as many channels and as large as its header says."""

import numpy as np
import torch
from jaxtyping import Float32, Int, UInt8
from torch import Tensor

from loopyvq.codec.pixels import to_grey
from loopyvq.codec.tiles import paint_in_tiles
from loopyvq.models import Tokenizer

__all__ = ["paint"]


def paint(
    tokenizer: Tokenizer,
    z_q: Float32[np.ndarray, "h w d"],
    lengths: Int[Tensor, "h w"],
    threshold: float,
    shape: tuple[int, int, int],
) -> UInt8[Tensor, "c H W"]:
    """Decode latents to the pixels that a reader of the file sees.

    Args:
        tokenizer: the model.
        z_q: remainders included.
        lengths: tokens per site, a cue for the decoder.
        threshold: the file's, a cue for the decoder.
        shape: channels, height and width.

    Returns:
        8-bit pixels.
    """
    channels, *size = shape
    image = paint_in_tiles(tokenizer, torch.from_numpy(z_q), lengths, threshold, (size[0], size[1]))
    return image if image.shape[0] == channels else to_grey(image)
