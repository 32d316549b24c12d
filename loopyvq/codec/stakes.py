"""What a choice of tokens is weighed by: where they shall lead, what errors and what bits cost."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from torch import Tensor

from loopyvq.quantize import LoopQuantizer
from loopyvq.tokens import Tokens

__all__ = ["BITS_OF_GOING_ON", "Aim", "Stakes", "price_of_bit", "stakes_of"]

# Price of a bit as a share of the squared threshold: a token of about nine bits costs the whole.
_SHARE_OF_SQUARE = 0.1

# Beyond what any error is worth, and what 32-bit floats hold many times.
_LARGEST_PRICE = 1e30

# A site that goes on will pay for a stop, or for another code, in its next turn.
BITS_OF_GOING_ON = 1.0


class Aim(NamedTuple):
    """Where tokens shall lead, and what an error costs.

    Attributes:
        latents: what to come close to.
        metric: how much a squared error of each entry weighs, above 0; None: all alike.
        importance: how much a squared error at each site weighs, above 0; None: all alike.
    """

    latents: Float[Tensor, "h w d"]
    metric: Float[np.ndarray, " d"] | None = None
    importance: Float[np.ndarray, "h w"] | None = None


class Stakes(NamedTuple):
    """The same in numbers, with what there is to choose from.

    Attributes:
        vectors: to come close to, in units of ``sigma``.
        codebooks: of every turn, gains included.
        prices: of a bit at each site, in squared error.
        keeps: share of a squared error that the turns after each turn will leave of it.
        metric: how much a squared error of each entry weighs.
        may_stop: whether sites may end before the last turn.
        min_length: tokens that every site gets at least.
    """

    vectors: Float[np.ndarray, "h w d"]
    codebooks: Float[np.ndarray, "l k d"]
    prices: Float[np.ndarray, "h w"]
    keeps: Sequence[float]
    metric: Float[np.ndarray, " d"]
    may_stop: bool
    min_length: int

    @property
    def depth(self) -> int:
        """Tokens that a site can get."""
        return len(self.keeps)

    def may_stop_in(self, turn: int) -> bool:
        """Tell whether sites may end with so many tokens."""
        return self.may_stop and turn >= self.min_length


def price_of_bit(threshold: float) -> float:
    """Tell how much squared error a bit must save at a threshold.

    Args:
        threshold: in units of ``sigma``.

    Returns:
        The price, in units of ``sigma`` squared.
    """
    return _SHARE_OF_SQUARE * threshold**2


def stakes_of(
    quantizer: LoopQuantizer,
    latents: Float[Tensor, "h w d"],
    start: Tokens,
    price: float,
    may_stop: bool,
    min_length: int,
    aim: Aim | None,
) -> Stakes:
    """Take stock; arguments as of `weighed_tokens`.

    Returns:
        The stakes.
    """
    goal, metric, importance = aim or Aim(latents)
    vectors = (goal.detach().double().cpu() / float(quantizer.sigma)).numpy()
    importance = np.ones(vectors.shape[:2]) if importance is None else importance
    depth = quantizer.max_depth if may_stop else int(start.lengths.max())
    keeps = [1.0] * depth if may_stop else _keeps(quantizer, latents, start, depth)
    return Stakes(
        vectors,
        quantizer.codebooks().detach().double().cpu().numpy(),
        np.minimum(price / importance, _LARGEST_PRICE),
        keeps,
        np.ones(vectors.shape[-1]) if metric is None else metric,
        may_stop,
        min_length,
    )


def _keeps(
    quantizer: LoopQuantizer, latents: Float[Tensor, "h w d"], start: Tokens, depth: int
) -> Sequence[float]:
    """Measure what the turns after each turn leave of the squared error, on average."""
    meant = latents.cpu().double()
    errors = [
        float((meant - quantizer.decode(start.prefix(turn)).cpu().double()).square().mean())
        for turn in range(1, depth + 1)
    ]
    return [errors[-1] / max(error, 1e-300) for error in errors]
