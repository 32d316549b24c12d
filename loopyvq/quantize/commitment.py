"""The two losses of a quantizer, over the turns that ran."""

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

__all__ = ["commitment_and_codebook_loss"]


def commitment_and_codebook_loss(
    latents: Float[Tensor, "n d"],
    codes: Int[Tensor, "n l"],
    codebooks: Float[Tensor, "l k d"],
    ran: Bool[Tensor, "n l"],
    count: Shaped[Tensor, ""],
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Measure how far latents and codes are apart at every turn that ran.

    The commitment compares the latents with each partial sum of codes; the codebook loss compares
    each residual with its code, with the gradient on the code and on its gain. Turn by turn, so
    that no tensor of all turns is made.

    Args:
        latents: in units of the scale, with gradient.
        codes: as a walk gave them.
        codebooks: the codes of each turn, its gain included; with gradient where codes or gains
            are learned by the optimizer.
        ran: turns to count.
        count: what to divide the sums by; 0 counts as 1.

    Returns:
        The commitment loss and the codebook loss: sums over the turns that ran, divided by the
        count. The second is 0 where the codebooks have no gradient.
    """
    count = torch.where(count > 0, count, 1)
    fixed = latents.detach()
    total, pull = torch.zeros_like(fixed), torch.zeros_like(fixed)
    commitment, codebook_loss = fixed.new_zeros(()), fixed.new_zeros(())
    # Unbound at once: the gradient of `codebooks[turn]` would fill a tensor of all turns, each turn.
    for turn, codebook in enumerate(codebooks.unbind(0)):
        emitted = (codes[:, turn] >= 0).unsqueeze(1)
        step = codebook[codes[:, turn].clamp(min=0)] * emitted
        if codebooks.requires_grad:
            distance = (fixed - total - step) * emitted
            codebook_loss = codebook_loss + distance.square().sum()
        total = total + step.detach()
        left = (fixed - total) * ran[:, turn].unsqueeze(1)
        commitment = commitment + left.square().sum()
        pull += left
    # The sum of squares is known, and so is its gradient: 2 pull.
    commitment = commitment + (2 * pull * (latents - fixed)).sum()
    return commitment / count, codebook_loss / count
