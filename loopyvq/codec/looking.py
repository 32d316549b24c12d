"""Tokens chosen in context, and chosen anew after every look at what a reader would see."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from loopyvq.codec.bound import Bounded, bounded_tokens
from loopyvq.codec.decoder_input import DecoderInput
from loopyvq.codec.stakes import Aim
from loopyvq.coding import Tables
from loopyvq.quantize import LoopQuantizer

__all__ = ["USUAL_EFFORT", "Look", "looked_tokens"]

USUAL_EFFORT = 1
"""Looks at an image where nobody says how many."""

Look = Callable[[DecoderInput], Aim]
"""What a reader would decode to what a second choice should aim for."""


def looked_tokens(
    quantizer: LoopQuantizer,
    latents: Float[Tensor, "h w d"],
    threshold: float,
    look: Look,
    looks: int,
    min_length: int | None = None,
    tables: Tables | None = None,
    aim: Aim | None = None,
    ways: int = 1,
) -> Bounded:
    """Choose tokens by what they cost in context, without a bound.

    Args:
        quantizer: in evaluation mode.
        latents: of one image.
        threshold: stop distance in units of ``sigma``, 0 or more.
        look: finds what tokens should lead to, see `loopyvq.codec.aiming`.
        looks: how often.
        min_length: as of `bounded_tokens`, like all that follows.
        tables: those that the tokens will be coded with.
        aim: where tokens lead without a look.
        ways: how many ways the last choice follows at every site.

    Returns:
        The tokens, and the latents as a reader gets them.

    Raises:
        ConfigError: an option is out of range.
        CheckpointError: the model gives latents that are not finite.
    """
    tell = False, min_length, tables
    # A first look needs no more than tokens of about the right number.
    first = "rate_distortion" if looks else "in_context"
    found = bounded_tokens(quantizer, latents, threshold, first, *tell, aim, 1 if looks else ways)
    for rest in reversed(range(looks)):
        aim = look(found.for_decoder())
        last = 1 if rest else ways
        found = bounded_tokens(quantizer, latents, threshold, "in_context", *tell, aim, last)
    return found
