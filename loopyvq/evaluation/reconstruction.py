"""Reconstruct a set of images at several operating points and measure everything about it."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from loopyvq.data import to_float, to_uint8
from loopyvq.errors import DataError
from loopyvq.metrics.codebook import TurnUsage, measure_usage, spread_of_energies
from loopyvq.metrics.distortion import Distortion, measure_distortion
from loopyvq.metrics.rate import RateEstimate, estimate_rate
from loopyvq.models import Tokenizer
from loopyvq.tokens import Tokens

__all__ = [
    "Evaluation",
    "ImageResult",
    "OperatingPoint",
    "PointResult",
    "evaluate",
    "evaluate_image",
]


class OperatingPoint(NamedTuple):
    """A stop rule.

    Attributes:
        threshold: stop distance, in units of the latents' scale.
        depth: most turns of a site.
    """

    threshold: float
    depth: int


class ImageResult(NamedTuple):
    """One image at one operating point.

    Attributes:
        name: the image's key.
        point: the stop rule.
        reconstruction: what was decoded, of the image's size.
        tokens: what it was decoded from, sites of shape ``h w``.
        residual_norm: the exact error of each site's latent, in units of the scale.
        distortion: how far the reconstruction is from the image.
        rate: estimated bits of this image alone.
        num_pixels: pixels of the image.
    """

    name: str
    point: OperatingPoint
    reconstruction: UInt8[Tensor, "c H W"]
    tokens: Tokens
    residual_norm: Float[Tensor, "h w"]
    distortion: Distortion
    rate: RateEstimate
    num_pixels: int

    @property
    def rate_bpp(self) -> float:
        """Estimated bits per pixel."""
        return self.rate.total_bits / self.num_pixels


class PointResult(NamedTuple):
    """A set of images at one operating point; plain numbers, ready for JSON.

    Attributes:
        threshold: stop distance.
        depth: most turns of a site.
        num_images: images measured.
        tokens_per_image: mean number of tokens.
        tokens_per_site: mean length.
        bits_per_image: estimated, codes and stops, tables learned over the whole set.
        rate_bpp: the same per pixel.
        stop_bpp: the part of it that tells the lengths.
        psnr_db: mean over images.
        ssim: mean over images.
        ms_ssim: mean over images.
        share_within_threshold: share of sites whose latent error is at most the threshold.
        length_histogram: sites by length, from 0.
        turns: use of the codebook at each turn.
        spread_of_energies: standard deviation of ``log |z|`` over sites.
    """

    threshold: float
    depth: int
    num_images: int
    tokens_per_image: float
    tokens_per_site: float
    bits_per_image: float
    rate_bpp: float
    stop_bpp: float
    psnr_db: float
    ssim: float
    ms_ssim: float
    share_within_threshold: float
    length_histogram: list[int]
    turns: list[TurnUsage]
    spread_of_energies: float


class Evaluation(NamedTuple):
    """A set of images at several operating points.

    Attributes:
        points: one result per operating point.
        images: per operating point, one distortion, token count and rate per image:
            ``(name, threshold, depth, num_tokens, rate_bpp, psnr_db, ssim, ms_ssim)``.
    """

    points: list[PointResult]
    images: list[tuple[str, float, int, int, float, float, float, float]]


@torch.no_grad()
def evaluate_image(
    tokenizer: Tokenizer,
    name: str,
    image: UInt8[Tensor, "c H W"],
    points: Sequence[OperatingPoint],
) -> tuple[list[ImageResult], Float[Tensor, "h w d"]]:
    """Reconstruct one image at several operating points, encoding it once.

    Args:
        tokenizer: in evaluation mode.
        name: the image's key.
        image: its pixels, with the tokenizer's number of channels.
        points: the stop rules.

    Returns:
        One result per point, and the latents, on the CPU.
    """
    device = tokenizer.quantizer.sigma.device
    size = (image.shape[1], image.shape[2])
    latents = tokenizer.latents(to_float(image).unsqueeze(0).to(device))
    results = []
    for point in points:
        found = tokenizer.quantizer(latents, point.threshold, point.depth)
        decoded = tokenizer.decode(found.tokens, point.threshold, size)
        reconstruction = to_uint8(decoded[0].cpu())
        tokens = Tokens(found.codes[0], found.lengths[0]).to("cpu")
        rate = estimate_rate([tokens], tokenizer.quantizer.codebook_size)
        distortion = measure_distortion(reconstruction, image)
        error = found.residual_norm[0].cpu()
        results.append(
            ImageResult(
                name, point, reconstruction, tokens, error, distortion, rate, size[0] * size[1]
            )
        )
    return results, latents[0].cpu()


def evaluate(
    tokenizer: Tokenizer,
    images: Iterable[Any],
    points: Sequence[OperatingPoint],
) -> Evaluation:
    """Reconstruct a set of images at several operating points.

    Args:
        tokenizer: in evaluation mode.
        images: pairs of a name and pixels (``UInt8 c H W``), such as ``ImageSet.images()`` gives.
        points: the stop rules, at least one.

    Returns:
        The measurements.

    Raises:
        DataError: there is no image.
        ValueError: there is no operating point.
    """
    if not points:
        raise ValueError("points must hold at least one operating point")
    sums = [_Accumulator(point, tokenizer) for point in points]
    rows = []
    latents: list[Tensor] = []
    for name, image in images:
        results, latent = evaluate_image(tokenizer, name, image, points)
        latents.append(latent.flatten(0, 1))
        for total, result in zip(sums, results, strict=True):
            total.add(result)
            rows.append(
                (
                    name,
                    result.point.threshold,
                    result.point.depth,
                    result.tokens.num_tokens,
                    result.rate_bpp,
                    *result.distortion,
                )
            )
    if not latents:
        raise DataError("there is no readable image to evaluate")
    spread = spread_of_energies(torch.cat(latents))
    return Evaluation([total.result(spread) for total in sums], rows)


class _Accumulator:
    """Gather the results of one operating point."""

    def __init__(self, point: OperatingPoint, tokenizer: Tokenizer) -> None:
        self.point = point
        self.size = tokenizer.quantizer.codebook_size
        self.tokens: list[Tokens] = []
        self.distortions: list[Distortion] = []
        self.num_pixels = 0
        self.num_within = 0

    def add(self, result: ImageResult) -> None:
        self.tokens.append(result.tokens)
        self.distortions.append(result.distortion)
        self.num_pixels += result.num_pixels
        self.num_within += int((result.residual_norm <= self.point.threshold).sum())

    def result(self, spread: float) -> PointResult:
        rate = estimate_rate(self.tokens, self.size)
        depth = self.tokens[0].max_depth
        codes = torch.cat([item.codes.reshape(-1, depth) for item in self.tokens])
        lengths = torch.cat([item.lengths.reshape(-1) for item in self.tokens])
        count = len(self.tokens)
        psnr, ssim, ms_ssim = map(_mean, zip(*self.distortions, strict=True))
        return PointResult(
            threshold=self.point.threshold,
            depth=self.point.depth,
            num_images=count,
            tokens_per_image=rate.num_tokens / count,
            tokens_per_site=rate.num_tokens / rate.num_sites,
            bits_per_image=rate.total_bits / count,
            rate_bpp=rate.total_bits / self.num_pixels,
            stop_bpp=rate.stop_bits / self.num_pixels,
            psnr_db=psnr,
            ssim=ssim,
            ms_ssim=ms_ssim,
            share_within_threshold=self.num_within / rate.num_sites,
            length_histogram=_histogram(lengths, depth),
            turns=measure_usage(codes, self.size),
            spread_of_energies=spread,
        )


def _mean(values: Sequence[float]) -> float:
    """Average over the images that have a measure: tiny ones have no SSIM."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _histogram(lengths: Int[Tensor, " n"], depth: int) -> list[int]:
    counts: list[int] = torch.bincount(lengths, minlength=depth + 1).tolist()
    return counts
