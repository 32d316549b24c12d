"""Images to tokens by the rules that there are."""

from collections.abc import Sequence
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from loopyvq.codec.aiming import aim_again
from loopyvq.codec.decoder_input import DecoderInput
from loopyvq.codec.importance import site_importance
from loopyvq.codec.looking import looked_tokens
from loopyvq.codec.stakes import Aim, price_of_bit
from loopyvq.codec.weighing import weighed_tokens
from loopyvq.coding import Tables
from loopyvq.conditions import Condition
from loopyvq.data import to_uint8
from loopyvq.data.token_source import TokenSource
from loopyvq.errors import ConfigError
from loopyvq.models import Tokenizer
from loopyvq.models.prior.site_prior import SitePrior
from loopyvq.models.prior.site_weighing import priced_tokens
from loopyvq.tokens import Tokens

__all__ = ["Prices", "StopRule", "encode_images"]

Prices = Tables | SitePrior
"""What may be asked what a symbol costs."""


class StopRule(NamedTuple):
    """When a site has enough tokens, and what decides between codes.

    Attributes:
        threshold: the stop distance, in units of the latents' scale; 0: every site gets ``depth``.
        depth: most tokens of a site.
        rule: how the threshold is read, see ``stop`` of `LoopConfig`; or by what codes and stops
            are chosen: ``in_context`` what they cost with the model's tables, ``prior`` what a
            prior charges for them.
        tune: with the last two, how much errors in busy places and images weigh, see
            `loopyvq.codec.importance`.
        weigh: for sites that all get ``depth``: the threshold at which codes are chosen by what
            they cost in context, or under a prior; 0 takes the nearest.
        effort: with the same, how often an image is looked at as the decoder paints it, and its
            tokens chosen anew, see `loopyvq.codec.aiming`.
    """

    threshold: float
    depth: int
    rule: Literal["threshold", "rate_distortion", "in_context", "prior"] = "threshold"
    weigh: float = 0.0
    tune: Literal["psnr", "balanced", "ms_ssim"] = "psnr"
    effort: int = 0

    @classmethod
    def of(cls, source: TokenSource) -> "StopRule":
        """Give the rule by which tokens were made.

        Args:
            source: what is kept with them.

        Returns:
            The rule.
        """
        limits = source.threshold, source.max_depth
        return cls(*limits, source.stop, source.weigh, source.tune, source.effort)

    @property
    def needs_tables(self) -> bool:
        """Whether the tables of the model are asked for prices."""
        return self.rule == "in_context" or (self.weigh > 0 and self.rule != "prior")

    @property
    def price(self) -> float:
        """The squared error that a bit must save, in units of the latents' scale squared."""
        return price_of_bit(self.weigh or self.threshold)

    def require(self, prices: Prices | None) -> None:
        """Check that there is what the rule asks for prices.

        Args:
            prices: the model's tables or a prior.

        Raises:
            ConfigError: it is not there, or the other one.
        """
        if self.needs_tables and not isinstance(prices, Tables):
            raise ConfigError("tokens in context need the model's tables: see loopyvq tables")
        if self.rule == "prior" and not isinstance(prices, SitePrior):
            raise ConfigError("tokens that a prior chooses need a prior of sites and depth")
        if isinstance(prices, SitePrior) and prices.config.lengths == "first":
            raise ConfigError("a prior that tells all lengths first has no prices of lengths")


@torch.no_grad()
def encode_images(
    tokenizer: Tokenizer,
    images: Float[Tensor, "b c H W"],
    stop: StopRule,
    prices: Prices | None = None,
    condition: Condition | None = None,
) -> Tokens:
    """Encode images.

    Args:
        tokenizer: the model, in evaluation mode, with the least length that it shall have.
        images: in [-1, 1].
        stop: when a site has enough tokens.
        prices: the model's tables, or a prior of such tokens, for rules that weigh what symbols
            cost.
        condition: what the prior is told of the images.

    Returns:
        Tokens with sites of shape ``b h w``, on the device of the tokenizer.

    Raises:
        ConfigError: the rule needs other prices, or the prior is not of this model.
    """
    stop.require(prices)
    quantizer, before = tokenizer.quantizer, tokenizer.quantizer.stop
    quantizer.stop = stop.rule if stop.rule == "threshold" else "rate_distortion"
    try:
        if isinstance(prices, SitePrior) and stop.rule == "prior":
            return _by_prior(tokenizer, images, stop, prices, condition)
        if not isinstance(prices, Tables) or not stop.needs_tables:
            return tokenizer.encode(images, stop.threshold, stop.depth)
        latents = tokenizer.latents(images)
        pairs = zip(images, latents, strict=True)
        parts = [_weighed(tokenizer, image, latent, stop, prices) for image, latent in pairs]
    finally:
        quantizer.stop = before
    codes, lengths = (torch.stack(items).to(images.device) for items in zip(*parts, strict=True))
    return Tokens(codes, lengths)


def _weighed(
    tokenizer: Tokenizer,
    image: Float[Tensor, "c H W"],
    latent: Float[Tensor, "h w d"],
    stop: StopRule,
    tables: Tables,
) -> Tokens:
    """Encode one image at prices of its own context."""
    if stop.rule == "in_context":
        return _in_context(tokenizer, image, latent, stop, tables)
    start = tokenizer.quantizer.encode(latent, stop.threshold, stop.depth)
    return weighed_tokens(tokenizer.quantizer, latent, tables, start, stop.price, may_stop=False)


def _in_context(
    tokenizer: Tokenizer,
    image: Float[Tensor, "c H W"],
    latent: Float[Tensor, "h w d"],
    stop: StopRule,
    tables: Tables,
) -> Tokens:
    """Choose tokens in context, and anew after every look at them."""
    pixels, quantizer = to_uint8(image).cpu(), tokenizer.quantizer
    aim = Aim(latent.cpu(), importance=_importance(tokenizer, pixels, stop))
    look, least = partial(aim_again, tokenizer, pixels, aim, tune=stop.tune), quantizer.min_length
    asked = quantizer, latent, stop.threshold
    return looked_tokens(*asked, look, stop.effort, least, tables, aim).tokens


def _by_prior(
    tokenizer: Tokenizer,
    images: Float[Tensor, "b c H W"],
    stop: StopRule,
    prior: SitePrior,
    condition: Condition | None,
) -> Tokens:
    """Encode images at prices of a prior, and anew after every look at what they lead to."""
    quantizer, pixels = tokenizer.quantizer, [to_uint8(image).cpu() for image in images]
    first = [
        Aim(latent, importance=_importance(tokenizer, some, stop))
        for latent, some in zip(tokenizer.latents(images).cpu(), pixels, strict=True)
    ]
    if not stop.effort:
        return _priced(tokenizer, first, stop, prior, condition)
    tokens = tokenizer.encode(images, stop.threshold, stop.depth)
    for _ in range(stop.effort):
        found = zip(
            pixels, first, quantizer.decode(tokens).cpu(), tokens.lengths.cpu(), strict=True
        )
        aims = [
            aim_again(tokenizer, image, aim, DecoderInput(z_q, lengths, stop.threshold), stop.tune)
            for image, aim, z_q, lengths in found
        ]
        tokens = _priced(tokenizer, aims, stop, prior, condition)
    return tokens


def _priced(
    tokenizer: Tokenizer,
    aims: Sequence[Aim],
    stop: StopRule,
    prior: SitePrior,
    condition: Condition | None,
) -> Tokens:
    quantizer = tokenizer.quantizer
    if quantizer.config.transform != "residual":
        raise ConfigError("a prior prices the tokens of residual loops, not those of pulls")
    codes = quantizer.codebooks()[: prior.config.max_depth]
    latents = torch.stack([aim.latents for aim in aims]).to(codes) / quantizer.sigma
    price = torch.full(latents.shape[:3], stop.price, device=codes.device)
    metric = torch.ones_like(latents[:, 0, 0])
    for number, aim in enumerate(aims):
        if aim.importance is not None:
            price[number] /= torch.from_numpy(aim.importance).to(price)
        if aim.metric is not None:
            metric[number] = torch.from_numpy(aim.metric).to(metric)
    least = prior.config.min_length
    if least != quantizer.min_length:
        raise ConfigError(
            f"the prior is of tokens of least length {least}, not {quantizer.min_length}"
        )
    if prior.config.max_depth > stop.depth:
        raise ConfigError(
            f"the prior is of up to {prior.config.max_depth} tokens per site, not {stop.depth}"
        )
    dummies = quantizer.config.dummies
    try:
        return priced_tokens(
            prior, codes, latents, price, condition, metric=metric, dummies=dummies
        )
    except ValueError as error:
        raise ConfigError(f"the prior cannot price these tokens: {error}") from error


def _importance(
    tokenizer: Tokenizer, pixels: UInt8[Tensor, "c H W"], stop: StopRule
) -> Float[np.ndarray, "h w"] | None:
    """Say how much errors weigh at each site; None: all alike."""
    if stop.tune == "psnr":
        return None
    factor = tokenizer.config.downsampling
    found: Float[np.ndarray, "h w"] = site_importance(pixels, factor, stop.tune, among_images=True)
    return found
