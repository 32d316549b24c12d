"""Reconstruct label maps at several operating points and count the labels that came back."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from loopyvq.data import one_hot
from loopyvq.errors import DataError
from loopyvq.evaluation.reconstruction import OperatingPoint
from loopyvq.metrics.labels import count_agreement, measure_agreement
from loopyvq.metrics.rate import estimate_rate
from loopyvq.models import Tokenizer
from loopyvq.tokens import Tokens

__all__ = ["LabelPointResult", "evaluate_label_maps"]


class LabelPointResult(NamedTuple):
    """A set of label maps at one operating point; plain numbers.

    Attributes:
        threshold: stop distance.
        depth: most turns of a site.
        num_images: label maps measured.
        tokens_per_image: mean number of tokens.
        tokens_per_site: mean length.
        bits_per_image: estimated, codes and stops, tables learned over the whole set.
        rate_bpp: the same per pixel.
        stop_bpp: the part of it that tells the lengths.
        pixel_accuracy: share of all pixels with the right label.
        mean_iou: intersection over union, mean over the labels that occur.
        share_within_threshold: share of sites whose latent error is at most the threshold.
    """

    threshold: float
    depth: int
    num_images: int
    tokens_per_image: float
    tokens_per_site: float
    bits_per_image: float
    rate_bpp: float
    stop_bpp: float
    pixel_accuracy: float
    mean_iou: float
    share_within_threshold: float


@torch.no_grad()
def evaluate_label_maps(
    tokenizer: Tokenizer,
    maps: Iterable[Any],
    points: Sequence[OperatingPoint],
) -> list[LabelPointResult]:
    """Reconstruct label maps at several operating points.

    Args:
        tokenizer: of label maps, in evaluation mode.
        maps: pairs of a name and labels (``UInt8 1 H W``), such as ``ImageSet.images()`` gives.
        points: the stop rules, at least one.

    Returns:
        One result per point.

    Raises:
        DataError: there is no label map.
        ValueError: there is no operating point, or the tokenizer is one of images.
    """
    if not points:
        raise ValueError("points must hold at least one operating point")
    if not tokenizer.config.label_maps:
        raise ValueError("label maps need a tokenizer of label maps, this is one of images")
    sums = [_Accumulator(point, tokenizer) for point in points]
    device = tokenizer.quantizer.sigma.device
    for _, labels in maps:
        truth = labels.long().to(device)
        latents = tokenizer.latents(one_hot(truth, tokenizer.config.image_channels))
        for total in sums:
            total.add(latents, truth)
    if not sums[0].tokens:
        raise DataError("there is no readable label map to evaluate")
    return [total.result() for total in sums]


class _Accumulator:
    """Gather the results of one operating point."""

    def __init__(self, point: OperatingPoint, tokenizer: Tokenizer) -> None:
        self.point = point
        self.tokenizer = tokenizer
        self.num_labels = tokenizer.config.image_channels
        self.tokens: list[Tokens] = []
        self.counts = torch.zeros(self.num_labels, self.num_labels, dtype=torch.int64)
        self.num_within = 0

    def add(self, latents: Tensor, truth: Tensor) -> None:
        found = self.tokenizer.quantizer(latents, self.point.threshold, self.point.depth)
        size = (truth.shape[1], truth.shape[2])
        logits = self.tokenizer.decode(found.tokens, self.point.threshold, size)
        self.counts += count_agreement(logits.argmax(dim=1), truth, self.num_labels).cpu()
        self.tokens.append(Tokens(found.codes[0], found.lengths[0]).to("cpu"))
        self.num_within += int((found.residual_norm <= self.point.threshold).sum())

    def result(self) -> LabelPointResult:
        rate = estimate_rate(self.tokens, self.tokenizer.quantizer.codebook_size)
        agreement = measure_agreement(self.counts)
        images, pixels = len(self.tokens), int(self.counts.sum())
        return LabelPointResult(
            threshold=self.point.threshold,
            depth=self.point.depth,
            num_images=images,
            tokens_per_image=rate.num_tokens / images,
            tokens_per_site=rate.num_tokens / rate.num_sites,
            bits_per_image=rate.total_bits / images,
            rate_bpp=rate.total_bits / pixels,
            stop_bpp=rate.stop_bits / pixels,
            pixel_accuracy=agreement.pixel_accuracy,
            mean_iou=agreement.mean_iou,
            share_within_threshold=self.num_within / rate.num_sites,
        )
