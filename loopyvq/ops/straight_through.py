"""The straight-through estimator: quantized forward, identity backward."""

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["stop_gradient_at_zeros", "straight_through"]


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


def stop_gradient_at_zeros(z_q: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
    """Keep the straight-through gradient from entries that no code has reached.

    Where codes have few entries, most entries of a quantized vector are exactly zero because that
    is cheaper than saying what they are. A little more in the latent would change nothing there,
    but the straight-through gradient asks for it, at every step and at every site, until latents
    have no small entries left (docs/experiments.md, 2026-11-28).

    Args:
        z_q: quantized vectors, with the gradient of the latents.

    Returns:
        The same values; no gradient flows through the zeros.

    Example:
        >>> z_q = torch.tensor([2.0, 0.0], requires_grad=True)
        >>> stop_gradient_at_zeros(z_q).sum().backward()
        >>> z_q.grad.tolist()
        [1.0, 0.0]
    """
    return torch.where(z_q != 0, z_q, z_q.detach())
