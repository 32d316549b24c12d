"""Latents to tokens within a bound that is checked against what a reader computes.

z_e --loop--> Tokens --decode--> z_q --escape--> every |z_e - z_q| <= threshold * sigma

Without the escape the bound is what turns out: it is measured, and stated a little larger.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from loopyvq.codec.decoder_input import DecoderInput
from loopyvq.codec.escape import distances, escape
from loopyvq.codec.stakes import Aim, price_of_bit
from loopyvq.codec.weighing import weighed_tokens
from loopyvq.coding import Tables
from loopyvq.coding.header import BOUND_STEPS_PER_OCTAVE
from loopyvq.errors import CheckpointError, ConfigError
from loopyvq.quantize import LoopQuantizer
from loopyvq.tokens import Tokens

__all__ = ["STOP_RULES", "Bounded", "bounded_tokens", "round_down"]

STOP_RULES = ("threshold", "rate_distortion", "in_context")
# Encoders keep this much below the bound, in units of sigma and as a share of the threshold, so
# that latents and gains that another machine computes a few roundings off are within it as well.
_MARGIN = 1e-5
_LARGEST_MARGIN_SHARE = 1e-3
# A first token gives a site its colour: images without one look worse than their errors say.
_FIRST_TOKEN_BELOW = 0.75
_MOST_STEPS = 255


class Bounded(NamedTuple):
    """Tokens of one image and what a reader makes of them.

    Attributes:
        tokens: sites of shape ``h w``, on the CPU.
        z_q: the decoded latents, remainders included.
        escape: payload of the escape chunk; None without a bound.
        threshold: as a 32-bit float holds it.
        num_escaped: sites with a remainder.
        bound_steps: what the header says of the worst site where there is no escape.
    """

    tokens: Tokens
    z_q: Float32[np.ndarray, "h w d"]
    escape: bytes | None
    threshold: float
    num_escaped: int
    bound_steps: int | None = None

    def for_decoder(self) -> DecoderInput:
        """Give what a reader decodes to an image."""
        return DecoderInput(torch.from_numpy(self.z_q), self.tokens.lengths, self.threshold)


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
    min_length: int | None = None,
    tables: Tables | None = None,
    aim: Aim | None = None,
    ways: int = 1,
) -> Bounded:
    """Encode latents.

    Args:
        quantizer: in evaluation mode.
        latents: of one image.
        threshold: stop distance in units of ``sigma``, 0 or more.
        stop: ``threshold``: go on until a site is within; ``rate_distortion``: stop where further
            tokens help too little; ``in_context``: as that, and codes and stops are chosen by what
            they cost with the model's tables, see `weighed_tokens`. With a bound, sites that these
            leave outside go on until within.
        bound: whether every site must be within the threshold.
        min_length: tokens that every site gets at least; by default the model's own, and with
            ``rate_distortion`` 1 below a threshold of 0.75, where that makes better images.
        tables: those that the tokens will be coded with; only ``in_context`` needs them.
        aim: where ``in_context`` leads; by default to the latents, all errors alike. What is
            promised and measured is about the latents.
        ways: how many ways ``in_context`` follows at every site, see `weighed_tokens`.

    Returns:
        The tokens, and the latents as a reader gets them.

    Raises:
        ConfigError: an option is out of range.
        CheckpointError: the model gives latents that are not finite.
    """
    _check(quantizer, latents, stop, min_length)
    threshold = round_down(threshold)
    if min_length is None and stop != "threshold":
        min_length = max(quantizer.min_length, int(threshold < _FIRST_TOKEN_BELOW))
    limit = threshold - min(_MARGIN, _LARGEST_MARGIN_SHARE * threshold) if bound else threshold
    shape, sigma = latents.shape, float(quantizer.sigma)
    z_e = latents.to(quantizer.sigma.device)
    with _stopping_by(quantizer, stop, min_length):
        tokens = quantizer.encode(z_e, limit)
    if stop == "in_context":
        tokens = _weigh(quantizer, z_e, price_of_bit(limit), tokens, min_length, tables, aim, ways)
    decoded = _decode(quantizer, tokens)
    meant = latents.cpu().numpy().reshape(-1, shape[-1])
    if not bound:
        worst = float(distances(meant, decoded).max(initial=0.0)) / sigma
        steps = _steps_above(worst, threshold)
        return Bounded(tokens.to("cpu"), decoded.reshape(shape), None, threshold, 0, steps)
    if stop != "threshold":
        outside = distances(meant, decoded) > limit * sigma
        tokens = _replace(quantizer, tokens, z_e, limit, outside.reshape(shape[:-1]))
        decoded = _decode(quantizer, tokens)
    done = escape(meant, decoded, threshold * sigma, limit * sigma)
    vectors = done.vectors.reshape(shape)
    return Bounded(tokens.to("cpu"), vectors, done.payload, threshold, done.num_escaped)


def _check(
    quantizer: LoopQuantizer, latents: Float[Tensor, "h w d"], stop: str, min_length: int | None
) -> None:
    is_pull = quantizer.config.transform == "pull"
    if stop not in STOP_RULES or (stop != "threshold" and is_pull):
        raise ConfigError(
            f"stop must be one of {', '.join(STOP_RULES)} of this model, got {stop!r}"
        )
    most = 1 if is_pull else quantizer.max_depth
    if min_length is not None and not 0 <= min_length <= most:
        raise ConfigError(f"min_length must be within 0..{most} for this model, got {min_length}")
    if not bool(latents.isfinite().all()):
        raise CheckpointError("the model gives latents that are not finite: it cannot be used")


def _weigh(
    quantizer: LoopQuantizer,
    z_e: Float[Tensor, "h w d"],
    price: float,
    start: Tokens,
    min_length: int | None,
    tables: Tables | None,
    aim: Aim | None,
    ways: int,
) -> Tokens:
    """Choose anew what another rule has chosen, by what it costs in context."""
    if tables is None:
        raise ConfigError(
            "stop 'in_context' weighs what the model's tables say: make them with loopyvq tables, "
            "and code in mode context"
        )
    least = min_length or 0
    return weighed_tokens(
        quantizer, z_e, tables, start, price, min_length=least, aim=aim, ways=ways
    )


def _steps_above(worst: float, threshold: float) -> int | None:
    """Tell how far the worst site is outside of the threshold, rounded up; None if too far."""
    ratio = (worst + _MARGIN) / threshold if threshold > 0 else math.inf
    if not ratio < 2.0 ** (_MOST_STEPS / BOUND_STEPS_PER_OCTAVE):
        return None
    return math.ceil(BOUND_STEPS_PER_OCTAVE * math.log2(max(ratio, 1.0)))


def _replace(
    quantizer: LoopQuantizer,
    tokens: Tokens,
    z_e: Float[Tensor, "h w d"],
    limit: float,
    chosen: np.ndarray,
) -> Tokens:
    """Let some sites go on until they are within the limit."""
    with _stopping_by(quantizer, "threshold", None):
        longer = quantizer.encode(z_e, limit)
    where = torch.from_numpy(chosen).to(z_e.device)
    codes = torch.where(where.unsqueeze(-1), longer.codes, tokens.codes)
    return Tokens(codes, torch.where(where, longer.lengths, tokens.lengths))


def _decode(quantizer: LoopQuantizer, tokens: Tokens) -> Float32[np.ndarray, "n d"]:
    decoded = quantizer.decode(tokens).cpu().numpy()
    return np.ascontiguousarray(decoded.reshape(-1, decoded.shape[-1]))


@contextmanager
def _stopping_by(quantizer: LoopQuantizer, stop: str, min_length: int | None) -> Iterator[None]:
    before = quantizer.stop, quantizer.priced_codes, quantizer.min_length
    quantizer.stop = "threshold" if stop == "threshold" else "rate_distortion"
    quantizer.priced_codes = quantizer.priced_codes and stop != "threshold"
    quantizer.min_length = quantizer.min_length if min_length is None else min_length
    try:
        yield
    finally:
        quantizer.stop, quantizer.priced_codes, quantizer.min_length = before
