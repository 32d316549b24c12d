"""What a prior that was converted from taming does not say of itself, but shows."""

import math
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from loopyvq.checkpoint import load_tokenizer, model_identity, prior_file
from loopyvq.data.token_source import TokenSource
from loopyvq.errors import CheckpointError
from loopyvq.models import Tokenizer
from loopyvq.models.taming.prior import TamingPrior

__all__ = ["converted_source", "place_symbols", "tokenizer_beside"]


def tokenizer_beside(
    path: str | Path, tokenizer: str | Path | None, device: str | torch.device = "cpu"
) -> Tokenizer:
    """Read the tokenizer of a converted prior.

    Args:
        path: the prior, or the folder of the conversion.
        tokenizer: where it is; by default ``model.safetensors`` in the folder of the prior.
        device: where to put it.

    Returns:
        The tokenizer, in evaluation mode.

    Raises:
        CheckpointError: it cannot be read.
    """
    return load_tokenizer(tokenizer or prior_file(path).parent / "model.safetensors", device)


def converted_source(prior: TamingPrior, tokenizer: Tokenizer, name: str | Path) -> TokenSource:
    """Tell from its sizes on what grid a converted prior draws.

    Args:
        prior: with a condition of one symbol per image or per site, or none.
        tokenizer: its tokenizer, of one code per site.
        name: of the prior, for the message.

    Returns:
        The grid, taken as a square, one code per site, and the number of classes.

    Raises:
        CheckpointError: the grid does not follow from the sizes, or the tokenizer has other codes.
    """
    kind, context = prior.config.condition, prior.config.prior.context_length
    # The last symbol of a sequence is never read, so one more fits than the context holds.
    sites = prior.config.permuted_sites or (
        context if kind in ("none", "class") else (context + 1) // 2
    )
    side, size = math.isqrt(sites), tokenizer.quantizer.codebook_size
    if kind in ("tokens", "tokenizer", "first_stage") or side * side != sites:
        raise CheckpointError(
            f"{name} has a context of {context} symbols and the condition {kind}, which does not "
            f"tell its grid: use it from Python"
        )
    if tokenizer.quantizer.max_depth != 1 or size > prior.config.prior.vocabulary_size:
        raise CheckpointError(f"{name} draws one code per site, of another tokenizer than this one")
    classes = prior.config.condition_codes or prior.config.prior.vocabulary_size
    factor = tokenizer.config.downsampling
    return TokenSource(
        tokenizer=model_identity(tokenizer),
        codebook_size=size,
        min_length=1,
        rows=side,
        columns=side,
        height=side * factor,
        width=side * factor,
        condition=kind,
        classes=classes if kind == "class" else 0,
    )


def place_symbols(
    prior: TamingPrior, grid: tuple[int, int], factor: int, count: int
) -> Int[Tensor, "b h w"]:
    """Say of every site where it lies in a larger image, in the symbols of a converted prior.

    Args:
        prior: with ``coordinates`` as its condition.
        grid: sites along height and width of the whole image.
        factor: pixels per site along each side.
        count: number of images.

    Returns:
        One symbol per site.
    """
    height, width = grid[0] * factor, grid[1] * factor
    plane = torch.arange(height * width, dtype=torch.float32) / (height * width)
    symbols = prior.places(plane.reshape(1, 1, height, width))
    return symbols.reshape(1, *grid).repeat(count, 1, 1)
