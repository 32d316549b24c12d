"""From tokens to pictures: images, and the canvas as it fills."""

from collections.abc import Iterator

from jaxtyping import Float, UInt8
from torch import Tensor

from loopyvq.conditions import Condition
from loopyvq.data import to_uint8
from loopyvq.generation.image_prior import ImagePrior
from loopyvq.models import Tokenizer
from loopyvq.pretokenize import StopRule, encode_images
from loopyvq.tokens import Tokens

__all__ = ["Film", "encode_like", "paint"]


def encode_like(
    model: ImagePrior, images: Float[Tensor, "b c H W"], condition: Condition | None = None
) -> Tokens:
    """Encode images as those were that a prior was trained on.

    Where another prior chose those, its prices are those of this one; an image larger than the
    prior has the lengths of the rate-distortion stop and the nearest codes.

    Args:
        model: the prior and its tokenizer.
        images: in [-1, 1].
        condition: what the prior is told of them, should it be asked for prices.

    Returns:
        Tokens with sites of shape ``b h w``, on the CPU, of the prior's depth.
    """
    quantizer, source = model.tokenizer.quantizer, model.source
    before, quantizer.min_length = quantizer.min_length, source.min_length
    stop = StopRule.of(source)
    height, width = model.grid_of((images.shape[2], images.shape[3]))
    if stop.rule == "prior" and (height > source.rows or width > source.columns):
        stop = stop._replace(rule="rate_distortion" if stop.threshold else "threshold", weigh=0.0)
    try:
        images = images.to(quantizer.sigma.device)
        tokens = encode_images(model.tokenizer, images, stop, model.prices, condition)
    finally:
        quantizer.min_length = before
    return Tokens(tokens.codes[..., : source.max_depth], tokens.lengths).to("cpu")


def paint(
    tokenizer: Tokenizer, tokens: Tokens, threshold: float, size: tuple[int, int] | None = None
) -> Iterator[UInt8[Tensor, "c H W"]]:
    """Decode images one by one, so that none depends on those it was drawn with.

    Args:
        tokenizer: in evaluation mode.
        tokens: sites of shape ``b h w``.
        threshold: the cue that the decoder was trained with.
        size: height and width to crop to; by default all sites.

    Yields:
        The images, on the CPU.

    Raises:
        ValueError: the tokens are not of this tokenizer, or the size does not belong to them.
    """
    device = tokenizer.quantizer.sigma.device
    tokens.validate(tokenizer.quantizer.codebook_size)
    for number in range(len(tokens.lengths)):
        one = Tokens(*(item[number : number + 1] for item in tokens)).to(device)
        yield to_uint8(tokenizer.decode(one, threshold, size)[0].cpu())


class Film:
    """Keep some moments of a drawing, to be shown one after the other.

    Args:
        num_sites: sites of an image.
        frames: about how many moments to keep, at least 1.
        images: how many images of the batch.
    """

    def __init__(self, num_sites: int, frames: int = 48, images: int = 16) -> None:
        self._every = max(1, num_sites // max(1, frames))
        self._images = images
        self.moments: list[tuple[int, Tokens]] = []

    def __call__(self, num_sites: int, tokens: Tokens) -> None:
        """Keep a moment, if enough has happened since the last one."""
        before = self.moments[-1][0] if self.moments else 0
        if num_sites - before >= self._every or num_sites == tokens.lengths[0].numel():
            kept = Tokens(*(item[: self._images].cpu().clone() for item in tokens))
            self.moments.append((num_sites, kept))
