"""The threshold at which images have a wanted mean length, found on the images themselves."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from loopyvq.errors import ConfigError, DataError
from loopyvq.models import Tokenizer
from loopyvq.pretokenize.image_tokens import StopRule

__all__ = ["default_stop", "stop_for_length"]

_BISECTIONS = 16
_SMALLEST = 1e-3
_LARGEST = 4.0


def default_stop(tokenizer: Tokenizer) -> StopRule:
    """Give the model's own threshold, at full depth."""
    return StopRule(tokenizer.config.quantizer.threshold, tokenizer.quantizer.max_depth)


@torch.no_grad()
def stop_for_length(
    tokenizer: Tokenizer, images: Iterable[Float[Tensor, "_ c H W"]], mean_length: float
) -> StopRule:
    """Find the threshold that gives a mean length.

    Args:
        tokenizer: the model, in evaluation mode.
        images: some of the images, in batches.
        mean_length: wanted tokens per site, above 0 and below the model's ``max_depth``.

    Returns:
        The threshold, to four digits, at full depth.

    Raises:
        ConfigError: the model cannot have that mean length on these images.
        DataError: there are no images.
    """
    quantizer = tokenizer.quantizer
    if not 0 < mean_length <= quantizer.max_depth:
        raise ConfigError(
            f"a mean length must be above 0 up to {quantizer.max_depth}, got {mean_length}"
        )
    latents = [tokenizer.latents(batch) for batch in images]
    if not latents:
        raise DataError("no image could be read")
    sites = torch.cat([item.flatten(0, 2) for item in latents])

    def length_at(threshold: float) -> float:
        return float(quantizer.encode(sites, threshold).lengths.float().mean())

    low, high = _SMALLEST, _LARGEST
    if not length_at(high) <= mean_length <= length_at(low):
        raise ConfigError(
            f"no threshold gives {mean_length:g} tokens per site: these images have "
            f"{length_at(high):.2f} to {length_at(low):.2f}; a model of fixed depth needs a depth"
        )
    for _ in range(_BISECTIONS):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if length_at(middle) < mean_length else (middle, high)
    return StopRule(float(f"{(low * high) ** 0.5:.4g}"), quantizer.max_depth)
