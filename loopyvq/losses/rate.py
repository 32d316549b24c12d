"""A differentiable estimate of what latents cost: the rate of a Gaussian at a given error."""

import math

from jaxtyping import Float
from torch import Tensor

__all__ = ["gaussian_rate_bits"]


def gaussian_rate_bits(
    latents: Float[Tensor, "*n d"], error: Float[Tensor, "*#n"], by_entry: bool = False
) -> Float[Tensor, "*n"]:
    """Estimate the bits that a vector of this energy needs at this error.

    ``d/2 log2(1 + |z|^2 / (d D))`` with ``D = error^2 / d`` per dimension: 0 for vectors far below
    the error, half a bit per dimension and halving of the error far above. Or each entry by its own
    energy, ``1/2 log2(1 + z_i^2 / D)``: fewer bits where few entries hold the energy.

    Args:
        latents: the vectors, with gradient.
        error: root of the squared error that is allowed, in the latents' units, above 0.
        by_entry: whether each entry counts by its own energy.

    Returns:
        Bits per vector.

    References:
        Cover and Thomas, Elements of Information Theory, 2006, theorem 10.3.2
    """
    width, energies = latents.shape[-1], latents.float().square()
    if by_entry:
        per_entry = error.square().unsqueeze(-1) / width
        return 0.5 / math.log(2) * (energies / per_entry).log1p().sum(dim=-1)
    energy = energies.sum(dim=-1)
    return 0.5 * width / math.log(2) * (energy / error.square()).log1p()
