"""The straight-through estimator: quantized forward, identity backward."""

from jaxtyping import Float
from torch import Tensor

__all__ = ["straight_through"]


def straight_through(
    z_e: Float[Tensor, "*n d"], z_q: Float[Tensor, "*n d"]
) -> Float[Tensor, "*n d"]:
    """Give ``z_q``'s value the gradient of ``z_e``.

    The value is ``z_q`` to the last bit: ``z_e - z_e`` is exactly zero, where the usual
    ``z_e + (z_q - z_e)`` rounds.

    Args:
        z_e: finite latents, part of the graph.
        z_q: their quantized values; no gradient flows into them.

    Returns:
        A tensor equal to ``z_q`` with ``d out / d z_e`` the identity.

    References:
        Bengio, Léonard and Courville, "Estimating or Propagating Gradients Through Stochastic
        Neurons for Conditional Computation", 2013, https://arxiv.org/abs/1308.3432
    """
    return z_q.detach() + (z_e - z_e.detach())
