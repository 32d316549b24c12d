"""How many bits tokens would take under a prior, beside the bytes that the codec really writes.

A report only: a network of floats gives other last digits with other batch sizes and thread
counts, so no file can be coded with it and read elsewhere; the codec's integer tables can.
"""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch

from loopyvq.codec.token_pieces import payloads_of
from loopyvq.coding import Tables
from loopyvq.data import Sample
from loopyvq.pretokenize import ImageTokens
from loopyvq.tokens import Tokens

__all__ = ["PriorBits", "prior_bits", "totals"]


class PriorBits(NamedTuple):
    """What the tokens of one image cost.

    Attributes:
        name: the image's key.
        num_tokens: tokens of all sites.
        num_pixels: pixels.
        code_bits: of the codes under the prior.
        stop_bits: of the lengths under the prior.
        context_bits: of both as the codec codes them in context, whole bytes, without the header
            of the file.
    """

    name: str
    num_tokens: int
    num_pixels: int
    code_bits: float
    stop_bits: float
    context_bits: int

    @property
    def prior_bits(self) -> float:
        """Codes and lengths together."""
        return self.code_bits + self.stop_bits


@torch.no_grad()
def prior_bits(
    prior: Any,
    to_tokens: ImageTokens,
    names: list[str],
    sample: Sample,
    tables: Tables | None = None,
) -> list[PriorBits]:
    """Measure a batch of images.

    Args:
        prior: in evaluation mode.
        to_tokens: encodes images as those that the prior was trained on.
        names: of the images.
        sample: the images with what is known of them, on the device of the prior.
        tables: of the tokenizer's entropy coder, if it has any.

    Returns:
        One line per image.
    """
    tokens, condition = to_tokens(sample)
    nats = prior(tokens, condition)
    code, stop = (item.double().sum(dim=(1, 2)) / math.log(2) for item in nats)
    size = to_tokens.tokenizer.quantizer.codebook_size
    pixels = sample.image.shape[2] * sample.image.shape[3]
    found = []
    for index, name in enumerate(names):
        own = Tokens(tokens.codes[index], tokens.lengths[index]).to("cpu")
        coded = sum(len(payload) for payload in payloads_of(own, size, "context", tables))
        bits = (float(code[index]), float(stop[index]))
        found.append(PriorBits(name, own.num_tokens, pixels, *bits, 8 * coded))
    return found


def totals(images: Iterable[PriorBits]) -> PriorBits:
    """Add up images.

    Args:
        images: what was measured.

    Returns:
        The sums, without a name.

    Example:
        >>> one = PriorBits("a", 3, 64, 20.0, 4.0, 32)
        >>> totals([one, one]).prior_bits
        48.0
    """
    total = PriorBits("", 0, 0, 0.0, 0.0, 0)
    for item in images:
        total = PriorBits(
            "",
            total.num_tokens + item.num_tokens,
            total.num_pixels + item.num_pixels,
            total.code_bits + item.code_bits,
            total.stop_bits + item.stop_bits,
            total.context_bits + item.context_bits,
        )
    return total
