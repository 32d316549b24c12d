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
    that no tensor of all turns is made, and over the rows that have not ended.

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
    # Longest first, so that the rows that are still going are the first ones in every turn.
    order, going = _longest_first(ran)
    latents, codes, ran = latents[order], codes[order], ran[order]
    fixed = latents.detach()
    total, pull = torch.zeros_like(fixed), torch.zeros_like(fixed)
    commitment, codebook_loss = fixed.new_zeros(()), fixed.new_zeros(())
    # Unbound: the gradient of each `codebooks[turn]` would fill a tensor of all turns.
    for turn, (codebook, rows) in enumerate(zip(codebooks.unbind(0), going, strict=True)):
        code, before = codes[:rows, turn], total[:rows]
        emitted = (code >= 0).unsqueeze(1)
        step = codebook[code.clamp(min=0)] * emitted
        if codebooks.requires_grad:
            distance = (fixed[:rows] - before - step) * emitted
            codebook_loss = codebook_loss + distance.square().sum()
        total[:rows] = before + step.detach()
        left = (fixed[:rows] - total[:rows]) * ran[:rows, turn].unsqueeze(1)
        commitment = commitment + left.square().sum()
        pull[:rows] += left
    # The sum of squares is known, and so is its gradient: 2 pull.
    commitment = commitment + (2 * pull * (latents - fixed)).sum()
    return commitment / count, codebook_loss / count


def _longest_first(ran: Bool[Tensor, "n l"]) -> tuple[Int[Tensor, " n"], list[int]]:
    """Sort rows by their last turn, and count how many are still going in each turn."""
    turns = torch.arange(ran.shape[1], device=ran.device)
    last = torch.where(ran, turns + 1, 0).amax(dim=1)
    order = last.argsort(descending=True, stable=True)
    if torch.compiler.is_compiling() or ran.is_cuda:  # where looking at a value costs more
        return order, [ran.shape[0]] * ran.shape[1]
    return order, (last.unsqueeze(1) > turns).sum(dim=0).tolist()
