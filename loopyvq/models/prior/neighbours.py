"""What the sites around a site say, as far as they come before it in raster order."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

__all__ = ["Neighbours"]

_OFFSETS = ((0, -1), (-1, -1), (-1, 0), (-1, 1), (0, -2), (-2, 0))


class Neighbours(nn.Module):
    """Give each site a feature that has seen its nearest predecessors, each by its direction.

        x x x        up left, up, up right
        x ?          left; and the second ones to the left and above

    Attention would have to learn first where they are.

    Args:
        width: width of the features.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Linear(len(_OFFSETS) * width, width, bias=False)
        nn.init.normal_(self.mix.weight, std=0.02)

    def places(self, grid: tuple[int, int], device: torch.device) -> Int[Tensor, "n q"]:
        """Tell which sites are the predecessors of each.

        Args:
            grid: sites along height and width.
            device: where to put the numbers.

        Returns:
            Their places in raster order; -1 where there is none.
        """
        height, width = grid
        row = torch.arange(height, device=device).repeat_interleave(width)
        column = torch.arange(width, device=device).repeat(height)
        found = []
        for down, right in _OFFSETS:
            near, beside = row + down, column + right
            inside = (near >= 0) & (beside >= 0) & (beside < width)
            found.append(torch.where(inside, near * width + beside, -1))
        return torch.stack(found, dim=1)

    def forward(
        self, content: Float[Tensor, "b m d"], places: Int[Tensor, "n q"]
    ) -> Float[Tensor, "b n d"]:
        """Gather what is around some sites.

        Args:
            content: features of the sites from the first one on.
            places: of the predecessors of the sites in question, all below ``m``.

        Returns:
            One feature per site in question.
        """
        padded = torch.cat([content, content.new_zeros(len(content), 1, content.shape[2])], dim=1)
        mixed: Tensor = self.mix(padded[:, places].flatten(2))
        return mixed
