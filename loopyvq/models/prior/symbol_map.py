"""A map of symbols, such as labels or lengths, as a feature for each site."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["SymbolMap", "embedding_table", "require_range", "withhold"]


class SymbolMap(nn.Module):
    """Give each site a feature that has seen the map around it, also where sites are still to come.

    Args:
        count: number of symbols; one more means "unknown".
        width: width of the features.
    """

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.unknown = count
        self.table = embedding_table(count + 1, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(
        self,
        symbols: Int[Tensor, "b h2 w2"],
        grid: tuple[int, int],
        dropped: Bool[Tensor, " b"] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """Embed a map.

        Args:
            symbols: on the grid of sites, or one a whole number of times coarser or finer.
            grid: sites along height and width.
            dropped: images whose map is withheld.

        Returns:
            One feature per site.

        Raises:
            ValueError: a symbol is out of range, or the map does not fit the grid.
        """
        require_range("symbol of the condition", symbols, self.unknown + 1)
        plane = self.table(withhold(symbols, dropped, self.unknown)).permute(0, 3, 1, 2)
        plane = _fit(plane, grid)
        refined: Tensor = plane + self.second(F.gelu(self.first(plane)))
        return refined.flatten(2).transpose(1, 2)


def embedding_table(count: int, width: int) -> nn.Embedding:
    """Make a table with small entries."""
    table = nn.Embedding(count, width)
    nn.init.normal_(table.weight, std=0.02)
    return table


def withhold(values: Tensor, dropped: Tensor | None, unknown: int) -> Tensor:
    """Replace the values of some images by the one that means "unknown"."""
    if dropped is None:
        return values
    return torch.where(dropped.reshape(-1, *[1] * (values.ndim - 1)), unknown, values)


def require_range(what: str, values: Tensor, count: int) -> None:
    """Raise ValueError unless all values are within ``0..count-1``."""
    if values.numel() and (int(values.min()) < 0 or int(values.max()) >= count):
        raise ValueError(
            f"every {what} must be within 0..{count - 1}, "
            f"got {int(values.min())}..{int(values.max())}"
        )


def _fit(plane: Tensor, grid: tuple[int, int]) -> Tensor:
    """Bring a map to the grid: means of blocks where it is finer, copies where it is coarser."""
    height, width = plane.shape[2:]
    down, up = (height // grid[0], width // grid[1]), (grid[0] // height, grid[1] // width)
    if min(down) >= 1 and (height, width) == (down[0] * grid[0], down[1] * grid[1]):
        return F.avg_pool2d(plane, down)
    if min(up) >= 1 and grid == (up[0] * height, up[1] * width):
        return plane.repeat_interleave(up[0], dim=2).repeat_interleave(up[1], dim=3)
    raise ValueError(
        f"a map of {height} x {width} symbols does not fit {grid[0]} x {grid[1]} sites: one must "
        f"be a whole number of times the other"
    )
