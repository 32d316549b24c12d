"""The two losses of a quantizer, over the turns that ran."""

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

__all__ = ["commitment_and_codebook_loss"]


def commitment_and_codebook_loss(
    latents: Float[Tensor, "n d"],
    codes: Int[Tensor, "n l"],
    steps: Float[Tensor, "n l d"],
    ran: Bool[Tensor, "n l"],
    count: Shaped[Tensor, ""],
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Measure how far latents and codes are apart at every turn that ran.

    The commitment compares the latents with each partial sum of codes; the codebook loss compares
    each residual with its code, with the gradient on the code and on its gain.

    Args:
        latents: in units of the scale, with gradient.
        codes: as a walk gave them.
        steps: what each turn added, 0 where it emitted no code; with gradient where codes or
            gains are learned by the optimizer.
        ran: turns to count.
        count: what to divide the sums by; 0 counts as 1.

    Returns:
        The commitment loss and the codebook loss: sums over the turns that ran, divided by the
        count. The second is 0 where the steps have no gradient.
    """
    count = torch.where(count > 0, count, 1)
    fixed = steps.detach()
    sums = fixed.cumsum(dim=1)
    commitment = (latents.unsqueeze(1) - sums).square().sum(dim=2)
    commitment_loss = commitment.where(ran, 0.0).sum() / count
    if not steps.requires_grad:
        return commitment_loss, commitment_loss.new_zeros(())
    residual = latents.detach().unsqueeze(1) - (sums - fixed)
    distance = (residual - steps).square().sum(dim=2)
    return commitment_loss, distance.where(codes >= 0, 0.0).sum() / count
