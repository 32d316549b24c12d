"""What a decoder gets of an image: latents, and the cues that come with them."""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["DecoderInput"]


class DecoderInput(NamedTuple):
    """Tokens of one image as its reader decodes them.

    Attributes:
        z_q: quantized latents, remainders included, on the CPU.
        lengths: tokens per site, a cue.
        threshold: the file's, a cue.
    """

    z_q: Float[Tensor, "h w d"]
    lengths: Int[Tensor, "h w"]
    threshold: float
