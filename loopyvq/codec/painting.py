"""Latents of a file to its pixels: as many channels and as large as its header says."""

from jaxtyping import UInt8
from torch import Tensor

from loopyvq.codec.decoder_input import DecoderInput
from loopyvq.codec.pixels import to_grey
from loopyvq.codec.tiles import paint_in_tiles
from loopyvq.models import Tokenizer

__all__ = ["paint"]


def paint(
    tokenizer: Tokenizer,
    given: DecoderInput,
    shape: tuple[int, int, int],
) -> UInt8[Tensor, "c H W"]:
    """Decode latents to the pixels that a reader of the file sees.

    Args:
        tokenizer: the model.
        given: what to decode.
        shape: channels, height and width.

    Returns:
        8-bit pixels.
    """
    channels, *size = shape
    image = paint_in_tiles(tokenizer, given, (size[0], size[1]))
    return image if image.shape[0] == channels else to_grey(image)
