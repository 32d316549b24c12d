"""From logits to symbols: temperature, what is left out, guidance, and one draw per row."""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from loopyvq.config import require_numbers
from loopyvq.errors import ConfigError

__all__ = ["SamplingConfig", "draw", "filter_logits", "guide", "stop_probability"]

_LEAST, _MOST = 1e-6, 1e6


@dataclass(frozen=True)
class SamplingConfig:
    """How to choose the next symbol.

    Temperatures above 0, their factors and the guidance are between 1e-6 and 1e6: beyond that the
    logits are no numbers any more.

    Attributes:
        temperature: logits are divided by it; 0 takes the likeliest symbol.
        stop_temperature: the log odds of stopping are divided by it; None takes ``temperature``.
        turn_temperatures: a further factor on ``temperature`` for the codes of turn 0, 1, ...; the
            last one also holds for all later turns.
        top_k: keep this many of the likeliest symbols; 0 keeps all.
        top_p: keep the likeliest symbols that together have this probability.
        min_p: keep symbols that are at least this share as likely as the likeliest.
        guidance: how far to go from the prediction without the condition to the one with it; 1
            takes the latter.
        length_budget: tokens that an image should have, about; None leaves it to the prior.
    """

    temperature: float = 1.0
    stop_temperature: float | None = None
    turn_temperatures: tuple[float, ...] = ()
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    guidance: float = 1.0
    length_budget: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        for value in (self.temperature, self.stop_temperature or 0.0):
            if not (value == 0 or _LEAST <= value <= _MOST):
                raise ConfigError(
                    f"a temperature must be 0, which takes the likeliest symbol, or within "
                    f"{_LEAST:g}..{_MOST:g}, got {value:g}"
                )
        if not all(_LEAST <= factor <= _MOST for factor in self.turn_temperatures):
            raise ConfigError(f"turn_temperatures are factors within {_LEAST:g}..{_MOST:g}")
        if self.top_k < 0:
            raise ConfigError(f"top_k must be 0 or more, got {self.top_k}; 0 keeps all symbols")
        require_numbers(self, "within (0, 1]", "top_p")
        require_numbers(self, "within [0, 1]", "min_p")
        if not 0 <= self.guidance <= _MOST:
            raise ConfigError(f"guidance must be within 0..{_MOST:g}, got {self.guidance:g}")
        if self.length_budget is not None and self.length_budget < 1:
            raise ConfigError(f"length_budget must be at least 1 token, got {self.length_budget}")

    def of_stopping(self) -> "SamplingConfig":
        """Give how to choose lengths: at their own temperature, nothing left out."""
        return _of_stopping(self)

    def turn_temperature(self, turn: int) -> float:
        """Give the factor on the temperature of a turn's codes.

        Args:
            turn: counted from 0.

        Returns:
            A factor above 0.
        """
        if not self.turn_temperatures:
            return 1.0
        return self.turn_temperatures[min(turn, len(self.turn_temperatures) - 1)]


@lru_cache(maxsize=16)
def _of_stopping(sampling: SamplingConfig) -> SamplingConfig:
    own = sampling.stop_temperature
    at = sampling.temperature if own is None else own
    return replace(sampling, temperature=at, turn_temperatures=(), top_k=0, top_p=1.0, min_p=0.0)


def guide(
    conditional: Float[Tensor, "... v"], unconditional: Float[Tensor, "... v"], scale: float
) -> Float[Tensor, "... v"]:
    """Strengthen what a condition says (classifier-free guidance).

    Args:
        conditional: logits with the condition.
        unconditional: logits without it; no logit is minus infinity.
        scale: 0 ignores the condition, 1 takes it as it is, more exaggerates it.

    Returns:
        Logits.

    References:
        "Classifier-Free Diffusion Guidance", 2022, equation 6, https://arxiv.org/abs/2207.12598
    """
    return unconditional + scale * (conditional - unconditional)


def filter_logits(
    logits: Float[Tensor, "... v"], sampling: SamplingConfig
) -> Float[Tensor, "... v"]:
    """Leave out unlikely symbols, as ``top_k``, ``top_p`` and ``min_p`` say, one after the other.

    Args:
        logits: after the temperature.
        sampling: what to keep; symbols that are as likely as the last of ``top_k`` stay too.

    Returns:
        Logits, minus infinity for what was left out; the likeliest symbol always stays.

    Example:
        >>> logits = torch.tensor([0.5, 0.3, 0.2]).log()
        >>> filter_logits(logits, SamplingConfig(top_p=0.6)).isfinite().tolist()
        [True, True, False]
    """
    if 0 < sampling.top_k < logits.shape[-1]:
        least = logits.topk(sampling.top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if sampling.top_p < 1:
        ordered, index = logits.softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
        enough = ordered.cumsum(dim=-1) - ordered >= sampling.top_p
        logits = logits.masked_fill(torch.zeros_like(enough).scatter(-1, index, enough), -torch.inf)
    if sampling.min_p > 0:
        probabilities = logits.softmax(dim=-1)
        least = sampling.min_p * probabilities.amax(dim=-1, keepdim=True)
        logits = logits.masked_fill(probabilities < least, -torch.inf)
    return logits


def draw(
    logits: Float[Tensor, "... v"], sampling: SamplingConfig, uniform: Float[Tensor, "..."]
) -> Int[Tensor, "..."]:
    """Draw one symbol per row; it depends on the row's own logits and number alone.

    Args:
        logits: minus infinity where a symbol is not allowed; at least one is, in every row.
        sampling: temperature and what to leave out.
        uniform: one number in [0, 1) per row, float64.

    Returns:
        Symbols: those up to which the probabilities add up to the number.

    Example:
        >>> logits, uniform = torch.tensor([[0.5, 0.3, 0.2]]).log(), torch.tensor([0.6])
        >>> draw(logits, SamplingConfig(), uniform.double()).tolist()
        [1]
    """
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    kept = filter_logits(logits.float() / sampling.temperature, sampling)
    # In float64 the sum over all symbols keeps even the least likely of them.
    summed = kept.double().softmax(dim=-1).cumsum(dim=-1)
    total = summed[..., -1]
    # Rounding must not reach the total: symbols of probability 0 would follow.
    wanted = torch.minimum(uniform * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(summed, wanted.unsqueeze(-1), right=True).squeeze(-1)


def stop_probability(odds: Float[Tensor, " n"], sampling: SamplingConfig) -> Float[Tensor, " n"]:
    """Give how likely a site is to stop, as it is to be drawn.

    Going on and stopping are one decision and the code another, so what is left out as unlikely
    is left out of each alone: among all symbols, cutting off unlikely codes would make sites
    shorter.

    Args:
        odds: log odds of stopping; infinite where there is no choice.
        sampling: how to draw.

    Returns:
        Probabilities, float64.

    Example:
        >>> odds = torch.tensor([4.0, 1.0, -4.0])
        >>> [round(p, 2) for p in stop_probability(odds, SamplingConfig(top_p=0.95)).tolist()]
        [1.0, 0.73, 0.0]
    """
    temperature = sampling.of_stopping().temperature
    if temperature == 0:
        return (odds > 0).double()
    two = torch.stack([odds.double() / temperature, torch.zeros_like(odds, dtype=torch.float64)])
    likely = filter_logits(two.T, sampling).softmax(dim=1)[:, 0]
    return torch.where(odds.isinf(), (odds > 0).double(), likely)
