"""Read the sites of an image in raster order: each sees its condition and all sites before it."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from loopyvq.conditions import Condition
from loopyvq.models.prior.attention import KeyValueCache, Transformer, TransformerConfig
from loopyvq.models.prior.condition_embedding import ConditionConfig, ConditionEmbedding
from loopyvq.models.prior.neighbours import Neighbours
from loopyvq.models.prior.places import Places

__all__ = ["SiteContext", "SiteReader"]


class SiteContext(nn.Module):
    """Give every site what the sites before it and the condition say of it.

        start, content of site 0, 1, ...             --+
        row, column, condition of site 0, 1, 2, ...  --+--> transformer --> context 0, 1, 2, ...
        prefix of the condition  --seen by all-------------^

    Args:
        transformer: sizes.
        condition: what is known of an image.
        rows: most sites along the height.
        columns: most sites along the width.
        neighbours: whether a site is told what its nearest predecessors say.
    """

    def __init__(
        self,
        transformer: TransformerConfig,
        condition: ConditionConfig,
        rows: int,
        columns: int,
        *,
        neighbours: bool = False,
    ) -> None:
        super().__init__()
        width = transformer.width
        self.condition = ConditionEmbedding(condition, width)
        self.start = nn.Parameter(0.02 * torch.randn(width))
        self.places = Places(rows, columns, width)
        self.neighbours = Neighbours(width) if neighbours else None
        self.transformer = Transformer(transformer)

    def forward(
        self,
        content: Float[Tensor, "b h w d"],
        condition: Condition,
        dropped: Bool[Tensor, " b"] | None = None,
        extra: Float[Tensor, "b n d"] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """Read whole images at once.

        Args:
            content: features of each site's tokens.
            condition: what is known of the images.
            dropped: images whose condition is withheld.
            extra: further features of each site that are known beforehand.

        Returns:
            Context of every site, its own content not seen.

        Raises:
            ValueError: the grid is larger than the prior, or a condition does not fit.
        """
        batch, *grid = content.shape[:3]
        reader = SiteReader(self, batch, (grid[0], grid[1]), condition, dropped, extra)
        return reader.read(content.flatten(1, 2)[:, :-1])


class SiteReader:
    """Read images piece by piece, keeping keys and values of what was read.

    Args:
        context: the network.
        batch: number of images.
        grid: sites along height and width.
        condition: what is known of the images.
        dropped: images whose condition is withheld.
        extra: further features of each site.
        keeps: whether more than one piece will be read.
    """

    def __init__(
        self,
        context: SiteContext,
        batch: int,
        grid: tuple[int, int],
        condition: Condition,
        dropped: Tensor | None = None,
        extra: Tensor | None = None,
        *,
        keeps: bool = False,
    ) -> None:
        places = context.places(grid)
        embedded = context.condition(condition, grid, batch, dropped)
        sites = places + embedded.sites
        self._sites = sites if extra is None else sites + extra
        self._start = context.start.expand(batch, 1, -1)
        self._prefix = embedded.prefix
        self._transformer = context.transformer
        self._neighbours = context.neighbours
        self._around = None
        if context.neighbours is not None:
            self._around = context.neighbours.places(grid, places.device)
        self._read: list[Tensor] = []
        self._done = 0
        self._cache = None
        if keeps:
            capacity = self._prefix.shape[1] + grid[0] * grid[1]
            self._cache = KeyValueCache(
                context.transformer.config, batch, capacity, places.dtype, places.device
            )

    @classmethod
    def for_drawing(
        cls,
        context: SiteContext,
        batch: int,
        grid: tuple[int, int],
        condition: Condition,
        extra: Tensor | None = None,
        *,
        guided: bool,
    ) -> "SiteReader":
        """Begin to read images that are still being drawn.

        Args:
            context: the network.
            batch: number of images.
            grid: sites along height and width.
            condition: what is known of the images.
            extra: further features of each site.
            guided: read every image a second time, in the second half of a batch twice as large,
                with its condition withheld.

        Returns:
            A reader that keeps what it has read.
        """
        if not guided:
            return cls(context, batch, grid, condition, None, extra, keeps=True)
        device = context.start.device
        twice = torch.arange(batch, device=device).repeat(2)
        dropped = torch.arange(2 * batch, device=device) >= batch
        extra = None if extra is None else extra[twice]
        return cls(context, 2 * batch, grid, condition.select(twice), dropped, extra, keeps=True)

    def read(self, content: Float[Tensor, "b m d"]) -> Float[Tensor, "b m2 d"]:
        """Read the sites that come next.

        Args:
            content: of the sites after those that were read before.

        Returns:
            Context of the sites that follow each of them; the first piece also gives that of the
            first site, which follows none.
        """
        around = self._seen_around(content)
        if self._done:
            sites = self._sites[:, self._done : self._done + content.shape[1]]
            features, prefix = sites + content + around, 0
        else:
            content = torch.cat([self._start, content], dim=1)
            features = self._sites[:, : content.shape[1]] + content + around
            prefix = self._prefix.shape[1]
            features = torch.cat([self._prefix, features], dim=1)
        self._done += content.shape[1]
        seen: Tensor = self._transformer(features, cache=self._cache, unmasked=prefix)
        return seen[:, prefix:]

    def _seen_around(self, content: Tensor) -> Tensor | float:
        """Give what the predecessors of the sites that come next say."""
        if self._neighbours is None or self._around is None:
            return 0.0
        self._read.append(content)
        read = torch.cat(self._read, dim=1)
        around: Tensor = self._neighbours(read, self._around[self._done : read.shape[1] + 1])
        return around
