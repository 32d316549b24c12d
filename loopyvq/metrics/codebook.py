"""Who is used: codebook usage and perplexity per turn, and how uneven the sites' energies are."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["TurnUsage", "measure_usage", "spread_of_energies"]


class TurnUsage(NamedTuple):
    """How one turn used the codebook.

    Attributes:
        num_tokens: sites that took this turn.
        dummy_share: share of them that emitted `CONTINUE`.
        usage: share of the codebook that was emitted at least once.
        perplexity: two to the power of the entropy of the emitted codes, in codes; 0 without any.
    """

    num_tokens: int
    dummy_share: float
    usage: float
    perplexity: float


def measure_usage(codes: Int[Tensor, "*n l"], codebook_size: int) -> list[TurnUsage]:
    """Measure the use of the codebook at each turn.

    Args:
        codes: as in `loopyvq.tokens.Tokens`.
        codebook_size: number of codes.

    Returns:
        One entry per turn.

    Example:
        >>> [turn.perplexity for turn in measure_usage(torch.tensor([[0, 1], [1, -1]]), 4)]
        [2.0, 1.0]
    """
    turns = []
    for row in codes.reshape(-1, codes.shape[-1]).unbind(1):
        emitted = row[row >= 0]
        tokens = int((row != -1).sum())
        counts = torch.bincount(emitted, minlength=codebook_size).double()
        share = counts / counts.sum().clamp(min=1)
        entropy = -torch.special.xlogy(share, share).sum()
        turns.append(
            TurnUsage(
                num_tokens=tokens,
                dummy_share=1 - len(emitted) / tokens if tokens else 0.0,
                usage=float((counts > 0).double().mean()),
                perplexity=float(entropy.exp()) if len(emitted) else 0.0,
            )
        )
    return turns


def spread_of_energies(latents: Float[Tensor, "*n d"]) -> float:
    """Measure how much the sites differ in energy: the standard deviation of ``log |z|``.

    Below about 0.15 a variable length cannot gain over a fixed one.

    Args:
        latents: at least two.

    Returns:
        The deviation, in nats.
    """
    norms = latents.detach().double().reshape(-1, latents.shape[-1]).norm(dim=1)
    return float(norms.clamp(min=1e-12).log().std())
