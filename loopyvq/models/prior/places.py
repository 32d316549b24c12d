"""Where a site stands: the sum of a feature for its row and one for its column."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["Places"]


class Places(nn.Module):
    """Embed the places of a grid of sites.

    Args:
        rows: most sites along the height.
        columns: most sites along the width.
        width: width of the features.
    """

    def __init__(self, rows: int, columns: int, width: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(0.02 * torch.randn(rows, width))
        self.columns = nn.Parameter(0.02 * torch.randn(columns, width))

    def forward(self, grid: tuple[int, int]) -> Float[Tensor, "n d"]:
        """Embed row and column of every site.

        Args:
            grid: sites along height and width.

        Returns:
            One row per site, in raster order.

        Raises:
            ValueError: the grid is larger than what was embedded.
        """
        if grid[0] > len(self.rows) or grid[1] > len(self.columns):
            raise ValueError(
                f"this prior knows up to {len(self.rows)} x {len(self.columns)} sites, got "
                f"{grid[0]} x {grid[1]}: generate larger images by a sliding window"
            )
        rows, columns = self.rows[: grid[0], None], self.columns[None, : grid[1]]
        return (rows + columns).flatten(0, 1)
