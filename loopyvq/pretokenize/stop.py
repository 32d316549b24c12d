"""The threshold at which images have a wanted length or quality, found on the images themselves."""

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from loopyvq.data import to_uint8
from loopyvq.errors import ConfigError, DataError
from loopyvq.models import Tokenizer
from loopyvq.pretokenize.encoding import Prices, StopRule, encode_images
from loopyvq.tokens import Tokens

__all__ = ["default_stop", "psnr_of", "psnr_of_tokens", "stop_for_length", "stop_for_psnr"]

_BISECTIONS = 16
_SMALLEST = 1e-3
_LARGEST = 4.0
_STRIDE = 1.5


def default_stop(tokenizer: Tokenizer) -> StopRule:
    """Give the model's own threshold, at full depth, with the rule that it has now."""
    quantizer = tokenizer.quantizer
    return StopRule(tokenizer.config.quantizer.threshold, quantizer.max_depth, quantizer.stop)


@torch.no_grad()
def stop_for_length(
    tokenizer: Tokenizer,
    images: Iterable[Float[Tensor, "_ c H W"]],
    mean_length: float,
    like: StopRule | None = None,
    prices: Prices | None = None,
) -> StopRule:
    """Find the threshold that gives a mean length.

    Args:
        tokenizer: the model, in evaluation mode.
        images: some of the images, in batches.
        mean_length: wanted tokens per site, above 0 and below the model's ``max_depth``.
        like: the rule that reads the threshold; by default the one that the model has now.
        prices: the model's tables, or a prior, for rules that need them; a prior is told nothing.

    Returns:
        The threshold, to four digits, at full depth.

    Raises:
        ConfigError: the model cannot have that mean length on these images.
        DataError: there are no images.
    """
    quantizer, like = tokenizer.quantizer, like or default_stop(tokenizer)
    if not 0 < mean_length <= quantizer.max_depth:
        raise ConfigError(
            f"a mean length must be above 0 up to {quantizer.max_depth}, got {mean_length}"
        )
    batches = list(images)
    if not batches:
        raise DataError("no image could be read")

    def length_at(threshold: float) -> float:
        stop = like._replace(threshold=threshold)
        found = [encode_images(tokenizer, batch, stop, prices).lengths for batch in batches]
        return float(torch.cat(found).float().mean())

    shortest, longest = length_at(_LARGEST), length_at(_SMALLEST)
    if not shortest <= mean_length <= longest:
        raise ConfigError(
            f"no threshold gives {mean_length:g} tokens per site: these images have "
            f"{shortest:.2f} to {longest:.2f}; a model of fixed depth needs a depth"
        )
    threshold = _bisect(length_at, mean_length, _SMALLEST, _LARGEST, _BISECTIONS)
    return like._replace(threshold=threshold)


@torch.no_grad()
def psnr_of(
    tokenizer: Tokenizer,
    images: Iterable[Float[Tensor, "_ c H W"]],
    stop: StopRule,
    prices: Prices | None = None,
    *,
    pooled: bool = False,
) -> float:
    """Measure how well tokens reconstruct images.

    Args:
        tokenizer: the model, in evaluation mode, with the least length that it shall have.
        images: in batches, in [-1, 1].
        stop: when a site has enough tokens.
        prices: the model's tables, or a prior, for rules that need them; a prior is told nothing.
        pooled: whether to take the PSNR of all images' mean squared error in place of the mean of
            their PSNRs, to which an image that is nearly perfect adds much for few tokens.

    Returns:
        PSNR of 8-bit values, in dB.

    Raises:
        DataError: there are no images.
    """
    pairs = ((batch, encode_images(tokenizer, batch, stop, prices)) for batch in images)
    return psnr_of_tokens(tokenizer, pairs, stop.threshold, pooled=pooled)


@torch.no_grad()
def psnr_of_tokens(
    tokenizer: Tokenizer,
    pairs: Iterable[tuple[Float[Tensor, "_ c H W"], Tokens]],
    threshold: float,
    *,
    pooled: bool = False,
) -> float:
    """Measure how well tokens that are there reconstruct images.

    Args:
        tokenizer: the model, in evaluation mode.
        pairs: images in batches, in [-1, 1], and their tokens.
        threshold: that of the tokens, which the decoder is told.
        pooled: as of `psnr_of`.

    Returns:
        PSNR of 8-bit values, in dB.

    Raises:
        DataError: there are no images.
    """
    errors: list[Tensor] = []
    for batch, tokens in pairs:
        size = (batch.shape[2], batch.shape[3])
        painted = to_uint8(tokenizer.decode(tokens, threshold, size)).double()
        errors.append((painted - to_uint8(batch).double()).square().flatten(1).mean(dim=1))
    if not errors:
        raise DataError("no image could be read")
    error = torch.cat(errors)
    if pooled:
        error = error.mean()
    return float((10 * (255.0**2 / error.clamp(min=1e-3)).log10()).mean())


def stop_for_psnr(
    tokenizer: Tokenizer,
    images: Iterable[Float[Tensor, "_ c H W"]],
    psnr_db: float,
    like: StopRule | None = None,
    prices: Prices | None = None,
    *,
    pooled: bool = False,
) -> StopRule:
    """Find the threshold at which tokens reconstruct images as well as wished.

    Args:
        tokenizer: the model, in evaluation mode.
        images: some of the images, in batches, in [-1, 1].
        psnr_db: wanted PSNR, in dB.
        like: the rule that reads the threshold; by default the one that the model has now.
        prices: the model's tables, or a prior, for rules that need them; a prior is told nothing.
        pooled: whether it is that of all images' mean squared error; else the mean over images.

    Returns:
        The largest such threshold, to four digits, at full depth.

    Raises:
        ConfigError: no threshold comes to that PSNR.
        DataError: there are no images.
    """
    batches, rule = list(images), like or default_stop(tokenizer)

    def psnr_at(threshold: float) -> float:
        stop = rule._replace(threshold=threshold)
        return psnr_of(tokenizer, batches, stop, prices, pooled=pooled)

    # From few tokens on: with more of them than it was trained with, a model may do worse again.
    low, reached = _LARGEST, [psnr_at(_LARGEST)]
    while reached[-1] < psnr_db and low > _SMALLEST:
        low /= _STRIDE
        reached.append(psnr_at(low))
    if not reached[0] <= psnr_db <= reached[-1]:
        raise ConfigError(
            f"no threshold gives {psnr_db:g} dB: these images have {reached[0]:.2f} to "
            f"{max(reached):.2f}"
        )
    threshold = _bisect(psnr_at, psnr_db, low, low * _STRIDE, _BISECTIONS // 2)
    return rule._replace(threshold=threshold)


def _bisect(
    value_at: Callable[[float], float], wanted: float, low: float, high: float, halvings: int
) -> float:
    """Find where a value that falls with the threshold is what is wanted, to four digits."""
    for _ in range(halvings):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if value_at(middle) >= wanted else (low, middle)
    return float(f"{(low * high) ** 0.5:.4g}")
