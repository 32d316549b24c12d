"""What is in a folder of shards: counts, lengths, an estimate of the bits."""

from typing import NamedTuple

import torch
from torch import Tensor

from loopyvq.data.token_shards import TokenShards
from loopyvq.metrics.rate import estimate_rate

__all__ = ["ClassLengths", "ShardSummary", "summarise"]

_RATE_IMAGES = 4096


class ClassLengths(NamedTuple):
    """Tokens of the images of one class.

    Attributes:
        name: of the class, or its number.
        num_images: how many there are.
        tokens_per_site: their mean length.
    """

    name: str
    num_images: int
    tokens_per_site: float


class ShardSummary(NamedTuple):
    """Counts over all images of some shards.

    Attributes:
        num_images: images, each view counted.
        num_tokens: tokens of all of them.
        tokens_per_image: mean.
        tokens_per_site: mean length.
        length_histogram: sites by length, from 0.
        rate_bpp: bits per pixel of an adaptive code, tables learned on the way, over up to 4096
            images from all parts of the set.
        stop_bpp: the part of it that tells the lengths.
        classes: the lengths by class; empty where there are none.
    """

    num_images: int
    num_tokens: int
    tokens_per_image: float
    tokens_per_site: float
    length_histogram: list[int]
    rate_bpp: float
    stop_bpp: float
    classes: list[ClassLengths]


def summarise(shards: TokenShards) -> ShardSummary:
    """Count what is in shards.

    Args:
        shards: the tokens.

    Returns:
        The counts.
    """
    packed, source = shards.packed, shards.source
    tokens = packed.tokens_per_image
    counts = packed.lengths.flatten().long().bincount(minlength=source.max_depth + 1)
    step = -(-len(shards) // _RATE_IMAGES)
    some = torch.arange(0, len(shards), step)
    rate = estimate_rate([packed.select(some).tokens], source.codebook_size)
    pixels = len(some) * source.num_pixels
    return ShardSummary(
        len(shards),
        int(tokens.sum()),
        float(tokens.float().mean()),
        float(tokens.float().mean()) / source.num_sites,
        counts.tolist(),
        rate.total_bits / pixels,
        rate.stop_bits / pixels,
        _by_class(shards, tokens.float() / source.num_sites),
    )


def _by_class(shards: TokenShards, lengths: Tensor) -> list[ClassLengths]:
    classes = shards.packed.condition.classes
    if classes is None:
        return []
    found = []
    for number in range(shards.source.classes):
        own = lengths[classes.long() == number]
        name = shards.source.class_names[number] if shards.source.class_names else str(number)
        mean = float(own.mean()) if len(own) else 0.0
        found.append(ClassLengths(name, len(own), mean))
    return found
