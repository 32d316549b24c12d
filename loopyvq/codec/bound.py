"""Latents to tokens within a bound that is checked against what a reader computes.

z_e --loop--> Tokens --decode--> z_q --escape--> every |z_e - z_q| <= threshold * sigma
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from loopyvq.codec.escape import distances, escape
from loopyvq.errors import CheckpointError, ConfigError
from loopyvq.quantize import LoopQuantizer
from loopyvq.tokens import Tokens

__all__ = ["STOP_RULES", "Bounded", "bounded_tokens", "round_down"]

STOP_RULES = ("threshold", "rate_distortion")
# Encoders keep this much below the bound, in units of sigma and as a share of the threshold, so
# that latents and gains that another machine computes a few roundings off are within it as well.
_MARGIN = 1e-5
_LARGEST_MARGIN_SHARE = 1e-3


class Bounded(NamedTuple):
    """Tokens of one image and what a reader makes of them.

    Attributes:
        tokens: sites of shape ``h w``, on the CPU.
        z_q: the decoded latents, remainders included.
        escape: payload of the escape chunk; None without a bound.
        threshold: as a 32-bit float holds it.
        num_escaped: sites with a remainder.
    """

    tokens: Tokens
    z_q: Float32[np.ndarray, "h w d"]
    escape: bytes | None
    threshold: float
    num_escaped: int


def round_down(number: float) -> float:
    """Round to a 32-bit float that is not above the number, so that a stored bound is kept.

    Args:
        number: 0 or more.

    Returns:
        The float.

    Raises:
        ConfigError: it is negative, not finite, or too large.

    Example:
        >>> round_down(0.1) < 0.1
        True
    """
    if not 0 <= number <= float(np.finfo(np.float32).max):
        raise ConfigError(f"a threshold must be 0 or more and finite, got {number}")
    rounded = np.float32(number)
    return float(rounded if float(rounded) <= number else np.nextafter(rounded, np.float32(0)))


@torch.no_grad()
def bounded_tokens(
    quantizer: LoopQuantizer,
    latents: Float[Tensor, "h w d"],
    threshold: float,
    stop: str = "threshold",
    bound: bool = True,
) -> Bounded:
    """Encode latents.

    Args:
        quantizer: in evaluation mode.
        latents: of one image.
        threshold: stop distance in units of ``sigma``, 0 or more.
        stop: ``threshold``: go on until a site is within; ``rate_distortion``: stop where further
            tokens help too little; with a bound, sites that this leaves outside go on until within.
        bound: whether every site must be within the threshold.

    Returns:
        The tokens, and the latents as a reader gets them.

    Raises:
        ConfigError: an option is out of range.
        CheckpointError: the model gives latents that are not finite.
    """
    if stop not in STOP_RULES or (stop != "threshold" and quantizer.config.transform == "pull"):
        raise ConfigError(
            f"stop must be one of {', '.join(STOP_RULES)} of this model, got {stop!r}"
        )
    if not bool(latents.isfinite().all()):
        raise CheckpointError("the model gives latents that are not finite: it cannot be used")
    threshold = round_down(threshold)
    limit = threshold - min(_MARGIN, _LARGEST_MARGIN_SHARE * threshold) if bound else threshold
    shape, sigma = latents.shape, float(quantizer.sigma)
    z_e = latents.to(quantizer.sigma.device)
    with _stopping_by(quantizer, stop):
        tokens = quantizer.encode(z_e, limit)
    decoded = _decode(quantizer, tokens)
    meant = latents.cpu().numpy().reshape(-1, shape[-1])
    if not bound:
        return Bounded(_on_cpu(tokens), decoded.reshape(shape), None, threshold, 0)
    if stop != "threshold":
        outside = distances(meant, decoded) > limit * sigma
        tokens = _replace(quantizer, tokens, z_e, limit, outside.reshape(shape[:-1]))
        decoded = _decode(quantizer, tokens)
    done = escape(meant, decoded, threshold * sigma, limit * sigma)
    vectors = done.vectors.reshape(shape)
    return Bounded(_on_cpu(tokens), vectors, done.payload, threshold, done.num_escaped)


def _replace(
    quantizer: LoopQuantizer,
    tokens: Tokens,
    z_e: Float[Tensor, "h w d"],
    limit: float,
    chosen: np.ndarray,
) -> Tokens:
    """Let some sites go on until they are within the limit."""
    with _stopping_by(quantizer, "threshold"):
        longer = quantizer.encode(z_e, limit)
    where = torch.from_numpy(chosen).to(z_e.device)
    codes = torch.where(where.unsqueeze(-1), longer.codes, tokens.codes)
    return Tokens(codes, torch.where(where, longer.lengths, tokens.lengths))


def _decode(quantizer: LoopQuantizer, tokens: Tokens) -> Float32[np.ndarray, "n d"]:
    decoded = quantizer.decode(tokens).cpu().numpy()
    return np.ascontiguousarray(decoded.reshape(-1, decoded.shape[-1]))


def _on_cpu(tokens: Tokens) -> Tokens:
    return Tokens(tokens.codes.cpu(), tokens.lengths.cpu())


@contextmanager
def _stopping_by(quantizer: LoopQuantizer, stop: str) -> Iterator[None]:
    before, priced = quantizer.stop, quantizer.priced_codes
    quantizer.stop = "rate_distortion" if stop == "rate_distortion" else "threshold"
    quantizer.priced_codes = priced and stop == "rate_distortion"
    try:
        yield
    finally:
        quantizer.stop, quantizer.priced_codes = before, priced
