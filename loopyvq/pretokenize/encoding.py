"""Images to tokens by the rules that there are."""

from functools import partial
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from loopyvq.codec.aiming import aim_again
from loopyvq.codec.importance import site_importance
from loopyvq.codec.looking import looked_tokens
from loopyvq.codec.weighing import Aim, price_of_bit, weighed_tokens
from loopyvq.coding import Tables
from loopyvq.data import to_uint8
from loopyvq.data.token_source import TokenSource
from loopyvq.errors import ConfigError
from loopyvq.models import Tokenizer
from loopyvq.tokens import Tokens

__all__ = ["StopRule", "encode_images"]


class StopRule(NamedTuple):
    """When a site has enough tokens, and what decides between codes.

    Attributes:
        threshold: the stop distance, in units of the latents' scale; 0: every site gets ``depth``.
        depth: most tokens of a site.
        rule: how the threshold is read, see ``stop`` of `LoopConfig`; or ``in_context``: codes and
            stops are chosen by what they cost with the model's tables.
        tune: with ``in_context``, how much errors in busy places and images weigh, see
            `loopyvq.codec.importance`.
        weigh: for sites that all get ``depth``: the threshold at which codes are chosen by what
            they cost in context; 0 takes the nearest.
        effort: with ``in_context``, how often an image is looked at as the decoder paints it, and
            its tokens chosen anew, see `loopyvq.codec.aiming`.
    """

    threshold: float
    depth: int
    rule: Literal["threshold", "rate_distortion", "in_context"] = "threshold"
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
        return self.rule == "in_context" or self.weigh > 0


@torch.no_grad()
def encode_images(
    tokenizer: Tokenizer,
    images: Float[Tensor, "b c H W"],
    stop: StopRule,
    tables: Tables | None = None,
) -> Tokens:
    """Encode images.

    Args:
        tokenizer: the model, in evaluation mode, with the least length that it shall have.
        images: in [-1, 1].
        stop: when a site has enough tokens.
        tables: of the model, for rules that weigh what symbols cost.

    Returns:
        Tokens with sites of shape ``b h w``, on the device of the tokenizer.

    Raises:
        ConfigError: the rule needs tables.
    """
    quantizer, before = tokenizer.quantizer, tokenizer.quantizer.stop
    quantizer.stop = "rate_distortion" if stop.rule == "in_context" else stop.rule
    try:
        if not stop.needs_tables:
            return tokenizer.encode(images, stop.threshold, stop.depth)
        if tables is None:
            raise ConfigError("tokens in context need the model's tables: see loopyvq tables")
        latents = tokenizer.latents(images)
        pairs = zip(images, latents, strict=True)
        parts = [_weighed(tokenizer, image, latent, stop, tables) for image, latent in pairs]
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
    price = price_of_bit(stop.weigh)
    return weighed_tokens(tokenizer.quantizer, latent, tables, start, price, may_stop=False)


def _in_context(
    tokenizer: Tokenizer,
    image: Float[Tensor, "c H W"],
    latent: Float[Tensor, "h w d"],
    stop: StopRule,
    tables: Tables,
) -> Tokens:
    """Choose tokens in context, and anew after every look at them."""
    pixels, quantizer, importance = to_uint8(image).cpu(), tokenizer.quantizer, None
    if stop.tune != "psnr":
        factor = tokenizer.config.downsampling
        importance = site_importance(pixels, factor, stop.tune, among_images=True)
    aim = Aim(latent.cpu(), importance=importance)
    look, least = partial(aim_again, tokenizer, pixels, aim, tune=stop.tune), quantizer.min_length
    asked = quantizer, latent, stop.threshold
    return looked_tokens(*asked, look, stop.effort, least, tables, aim).tokens
