"""Rotary positions: queries and keys are turned by angles that grow with the position.

References:
    "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021, equation 34,
    https://arxiv.org/abs/2104.09864
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["Rotary", "rotate"]

_SLOWEST = 10_000.0


class Rotary(NamedTuple):
    """By what to turn.

    Attributes:
        cosine: once for every pair of channels, and then again.
        sine: alike, negative for the first half of the channels.
    """

    cosine: Float[Tensor, "t d"]
    sine: Float[Tensor, "t d"]

    @staticmethod
    def at(positions: Int[Tensor, " t"], head_width: int, dtype: torch.dtype) -> "Rotary":
        """Give the angles of positions.

        Args:
            positions: counted from anywhere.
            head_width: even.
            dtype: of the features.

        Returns:
            Cosines and sines.
        """
        half = torch.arange(0, head_width, 2, device=positions.device) / head_width
        angles = positions.unsqueeze(-1) * _SLOWEST**-half
        cosine, sine = angles.cos(), angles.sin()
        return Rotary(
            torch.cat([cosine, cosine], dim=-1).to(dtype),
            torch.cat([-sine, sine], dim=-1).to(dtype),
        )


def rotate(heads: Float[Tensor, "b n t d"], rotary: Rotary) -> Float[Tensor, "b n t d"]:
    """Turn queries or keys.

    Args:
        heads: of every head and position.
        rotary: the angles of the positions.

    Returns:
        The same norms, turned; products depend on the difference of the positions alone.
    """
    swapped = heads.roll(heads.shape[-1] // 2, dims=-1)
    return heads * rotary.cosine + swapped * rotary.sine
