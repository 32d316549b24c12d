"""Before and after: what every further token buys, on images that nothing was fitted to."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from loopyvq.data import ImageSet, to_float
from loopyvq.errors import DataError
from loopyvq.evaluation import OperatingPoint, evaluate
from loopyvq.models import Tokenizer
from loopyvq.quantize import LoopQuantizer
from loopyvq.quantize.residual import Limits
from loopyvq.quantize.stop import threshold_lengths

__all__ = ["MEAN_LENGTHS", "TableRow", "format_table", "measure", "thresholds_at"]

MEAN_LENGTHS = (1.0, 1.5, 2.0, 3.0, 4.0)
"""Tokens per site of the rows of the table."""

# A mean length counts as reached within this share.
_SLACK = 5e-3
_MOST_SITES = 50_000


class TableRow(NamedTuple):
    """One model at one threshold.

    Attributes:
        model: ``before``, ``loopified`` or ``fine-tuned``.
        threshold: stop distance, in units of the latents' scale.
        tokens_per_site: mean length.
        tokens_per_image: mean number of tokens.
        rate_bpp: estimated bits per pixel, stops included.
        psnr_db: mean over images.
        ssim: mean over images.
        ms_ssim: mean over images.
    """

    model: str
    threshold: float
    tokens_per_site: float
    tokens_per_image: float
    rate_bpp: float
    psnr_db: float
    ssim: float
    ms_ssim: float


@torch.no_grad()
def thresholds_at(tokenizer: Tokenizer, images: ImageSet, lengths: Sequence[float]) -> list[float]:
    """Find the thresholds at which these images have these mean lengths.

    Args:
        tokenizer: in evaluation mode.
        images: any.
        lengths: tokens per site, at least the quantizer's ``min_length``.

    Returns:
        The smallest threshold of each.

    Raises:
        DataError: no image can be read.
    """
    quantizer = tokenizer.quantizer
    norms = []
    for _, image in images.images():
        latents = tokenizer.latents(_batch_of(image, tokenizer)).flatten(0, 2)
        endless = Limits(
            latents.new_zeros(len(latents), dtype=torch.float64),
            torch.full((len(latents),), quantizer.max_depth, device=latents.device),
        )
        norms.append(quantizer.walk(latents, endless).norms.cpu())
    if not norms:
        raise DataError("there is no readable image to measure")
    found = torch.cat(norms)
    found = found[:: -(-len(found) // _MOST_SITES)]
    return [_threshold_at(found, length, quantizer.min_length) for length in lengths]


def measure(
    name: str, tokenizer: Tokenizer, images: ImageSet, thresholds: Iterable[float]
) -> list[TableRow]:
    """Reconstruct images at some thresholds.

    Args:
        name: of the model, for the table.
        tokenizer: in evaluation mode.
        images: any.
        thresholds: stop distances.

    Returns:
        A row for each.

    Raises:
        DataError: no image can be read.
    """
    quantizer: LoopQuantizer = tokenizer.quantizer
    points = [OperatingPoint(threshold, quantizer.max_depth) for threshold in thresholds]
    return [
        TableRow(
            name,
            point.threshold,
            point.tokens_per_site,
            point.tokens_per_image,
            point.rate_bpp,
            point.psnr_db,
            point.ssim,
            point.ms_ssim,
        )
        for point in evaluate(tokenizer, images.images(), points).points
    ]


def format_table(rows: Sequence[TableRow]) -> str:
    """Lay the rows out as a Markdown table.

    Args:
        rows: the results.

    Returns:
        The table, without a final newline.
    """
    titles = [
        "model",
        "threshold",
        "tokens/site",
        "tokens/image",
        "bits/pixel",
        "PSNR",
        "SSIM",
        "MS-SSIM",
    ]
    lines = [f"| {' | '.join(titles)} |", "|---" + "|---:" * (len(titles) - 1) + "|"]
    lines += [
        f"| {row.model} | {row.threshold:.3g} | {row.tokens_per_site:.2f} | "
        f"{row.tokens_per_image:.0f} | {row.rate_bpp:.3f} | {row.psnr_db:.2f} | {row.ssim:.3f} | "
        f"{row.ms_ssim:.3f} |"
        for row in rows
    ]
    return "\n".join(lines)


def _batch_of(image: Any, tokenizer: Tokenizer) -> Tensor:
    batch: Tensor = to_float(image).unsqueeze(0).to(tokenizer.quantizer.sigma.device)
    return batch


def _threshold_at(norms: Tensor, length: float, min_length: int) -> float:
    """Bisect: lengths never rise with the threshold."""
    low, high = 0.0, float(norms.max())
    for _ in range(40):
        middle = (low + high) / 2
        mean = threshold_lengths(norms, torch.tensor([[middle]]).double(), min_length)
        if float(mean.double().mean()) > length * (1 + _SLACK):
            low = middle
        else:
            high = middle
    return high
