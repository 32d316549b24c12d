"""Conditions as features: a prefix that all sites see, and something for each site.

class, boxes             --embed-------------------> prefix  b p d
class, symbols, places   --embed, fit to the grid--> sites   b n d
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from loopyvq.conditions import Condition
from loopyvq.config import require_numbers
from loopyvq.models.prior.symbol_map import SymbolMap, embedding_table, require_range, withhold

__all__ = ["ConditionConfig", "ConditionEmbedding", "Embedded"]

_FREQUENCIES = 6


@dataclass(frozen=True)
class ConditionConfig:
    """What a prior is told of an image.

    Attributes:
        classes: number of classes; 0: no class.
        symbols: number of symbols of a map, such as labels or codes; 0: no map.
        places: whether it is told where each site lies in a larger image.
        box_classes: number of classes of boxes; 0: no boxes.
        box_bins: steps along each side of the image in which boxes are given.
        dropout: share of the training images whose class, map and boxes are withheld, so that the
            prior can do without and be guided.
    """

    classes: int = 0
    symbols: int = 0
    places: bool = False
    box_classes: int = 0
    box_bins: int = 64
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_numbers(self, "0 or more", "classes", "symbols", "box_classes")
        require_numbers(self, "at least 1", "box_bins")
        require_numbers(self, "within [0, 1)", "dropout")

    @property
    def can_be_dropped(self) -> bool:
        """Whether anything is withheld at training, and so can be guided by."""
        return bool((self.classes or self.symbols or self.box_classes) and self.dropout)

    def is_guided(self, guidance: float) -> bool:
        """Tell whether images are drawn with and without the condition.

        Args:
            guidance: 1: as the condition says.

        Returns:
            Whether it is another one.

        Raises:
            ValueError: that cannot be, as nothing was withheld at training.
        """
        if guidance != 1 and not self.can_be_dropped:
            raise ValueError(
                f"guidance {guidance:g} needs a prior of classes, maps or boxes that were withheld "
                f"from some images at training (condition.dropout above 0)"
            )
        return guidance != 1


class Embedded(NamedTuple):
    """Conditions as features.

    Attributes:
        prefix: ``b p d``; ``p`` may be 0.
        sites: ``b n d``; zeros without conditions per site.
    """

    prefix: Float[Tensor, "b p d"]
    sites: Float[Tensor, "b n d"]


class ConditionEmbedding(nn.Module):
    """Turn conditions into features; what is missing or withheld becomes a learned "unknown".

    Args:
        config: which conditions there are.
        width: width of the features.
    """

    def __init__(self, config: ConditionConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.width = width
        self.classes = _Classes(config.classes, width) if config.classes else None
        self.symbols = SymbolMap(config.symbols, width) if config.symbols else None
        self.places = _Places(width) if config.places else None
        boxes = config.box_classes
        self.boxes = _Boxes(boxes, config.box_bins, width) if boxes else None

    def forward(
        self,
        condition: Condition,
        grid: tuple[int, int],
        batch: int,
        dropped: Bool[Tensor, " b"] | None = None,
    ) -> Embedded:
        """Embed the conditions of a batch.

        Args:
            condition: may lack anything.
            grid: sites along height and width.
            batch: number of images.
            dropped: images whose conditions are withheld.

        Returns:
            Features of the configured width.

        Raises:
            ValueError: a value is out of range, a map does not fit the grid, or the prior was not
                made for a condition that is there.
        """
        for name, value in zip(condition._fields, condition, strict=True):
            if value is not None and getattr(self, name) is None:
                raise ValueError(f"this prior was not trained with {name} as a condition")
        some = next(self.parameters(), torch.zeros(0))
        prefix = [some.new_zeros(batch, 0, self.width)]
        sites = some.new_zeros(batch, grid[0] * grid[1], self.width)
        if self.classes is not None:
            first, everywhere = self.classes(condition.classes, batch, dropped)
            prefix.append(first)
            sites = sites + everywhere
        if self.boxes is not None and condition.boxes is not None:
            prefix.append(self.boxes(condition.boxes, dropped))
        if self.symbols is not None:
            symbols = condition.symbols
            if symbols is None:
                symbols = torch.full((batch, *grid), self.config.symbols, device=some.device)
            sites = sites + self.symbols(symbols, grid, dropped)
        if self.places is not None and condition.places is not None:
            sites = sites + self.places(condition.places, grid)
        return Embedded(torch.cat(prefix, dim=1), sites)


class _Classes(nn.Module):
    """The class of the image: one prefix feature, and the same at every site.

    Sites would have to learn first to look at the prefix.
    """

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.unknown = count
        self.table = embedding_table(count + 1, width)
        self.everywhere = embedding_table(count + 1, width)

    def forward(
        self, classes: Tensor | None, batch: int, dropped: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        if classes is None:
            classes = torch.full((batch,), self.unknown, device=self.table.weight.device)
        else:
            require_range("class", classes, self.unknown)
        known = withhold(classes, dropped, self.unknown)
        return self.table(known).unsqueeze(1), self.everywhere(known).unsqueeze(1)


class _Boxes(nn.Module):
    """One prefix feature per box: its class and its four sides."""

    def __init__(self, count: int, bins: int, width: int) -> None:
        super().__init__()
        self.unknown, self.bins = count, bins
        self.table = embedding_table(count + 1, width)
        self.sides = embedding_table(4 * bins, width)

    def forward(self, boxes: Tensor, dropped: Tensor | None) -> Tensor:
        kind = torch.where(boxes[..., 0] < 0, self.unknown, boxes[..., 0])
        require_range("class of a box", kind, self.unknown + 1)
        require_range("side of a box", boxes[..., 1:], self.bins)
        kind = withhold(kind, dropped, self.unknown)
        where = boxes[..., 1:] + torch.arange(4, device=boxes.device) * self.bins
        there = (kind < self.unknown).unsqueeze(2)
        embedded: Tensor = self.table(kind) + there * self.sides(where).sum(dim=2)
        return embedded


class _Places(nn.Module):
    """A feature per site: waves of its row and column in the larger image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out = nn.Linear(4 * _FREQUENCIES, width)

    def forward(self, places: Tensor, grid: tuple[int, int]) -> Tensor:
        if places.shape[1:3] != grid:
            raise ValueError(f"places must be of {grid} sites, got {tuple(places.shape[1:3])}")
        scale = math.pi * 2.0 ** torch.arange(_FREQUENCIES, device=places.device)
        angles = (places.unsqueeze(4) * scale).flatten(3)
        waves = torch.cat([angles.sin(), angles.cos()], dim=3).flatten(1, 2)
        features: Tensor = self.out(waves.to(self.out.weight.dtype))
        return features
