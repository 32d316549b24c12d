"""How much smaller the codes are at each turn: one shared codebook serves every scale."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["Gains"]

# Learned ratios stay below this, so that a later turn always speaks of a finer scale.
_LARGEST_RATIO = 1.0 - 1e-4


class Gains(nn.Module):
    """Positive gains that never increase: 1, then each the one before times a ratio.

    Args:
        max_depth: number of turns.
        ratio: the ratio to start from, in ``(0, 1]``.
        learned: whether the ratios are parameters; they need a ratio below 1.
    """

    ratios: Tensor

    def __init__(self, max_depth: int, ratio: float, learned: bool) -> None:
        super().__init__()
        ratios = torch.full((max_depth - 1,), ratio)
        self.learned = learned
        if learned:
            self.logits = nn.Parameter(torch.logit(ratios.clamp(max=_LARGEST_RATIO)))
        else:
            self.register_buffer("ratios", ratios)

    def forward(self) -> Float[Tensor, " l"]:
        """Give the gain of every turn, the first of them 1."""
        ratios = torch.sigmoid(self.logits) if self.learned else self.ratios
        gains = [ratios.new_ones(())]
        for turn in range(ratios.shape[0]):  # not cumprod, which cannot be exported to ONNX
            gains.append(gains[-1] * ratios[turn])
        return torch.stack(gains)

    @torch.no_grad()
    def set(self, gains: Float[Tensor, " l"]) -> None:
        """Take over the gains of a fit.

        Args:
            gains: positive; brought to a first value of 1 and to never increase.
        """
        falling = gains.cummin(dim=0).values
        ratios = falling[1:] / falling[:-1]
        if self.learned:
            self.logits.copy_(torch.logit(ratios.clamp(1e-4, _LARGEST_RATIO)))
        else:
            self.ratios.copy_(ratios.clamp(min=1e-4))
