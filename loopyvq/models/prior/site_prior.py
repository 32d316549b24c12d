"""The default prior: a transformer over sites, and a small one over the turns of each.

    tokens --SiteEmbedding--> content --SiteContext--> context --DepthTransformer--> code, STOP

The cost grows with the number of sites, hardly with the number of turns. An image is the product of
its sites, a site that of its tokens; with ``lengths`` "first", all lengths come before all codes.

References:
    Two transformers, one along space and one along depth: "Autoregressive Image Generation using
    Residual Quantization", 2022, section 3.2, https://arxiv.org/abs/2203.01941; there every site
    has the same number of codes.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from loopyvq.conditions import Condition
from loopyvq.config import require_numbers
from loopyvq.errors import ConfigError
from loopyvq.models.prior.attention import TransformerConfig
from loopyvq.models.prior.base import OnSite, Request, TokenNats, require_tokens
from loopyvq.models.prior.condition_embedding import ConditionConfig
from loopyvq.models.prior.depth import DepthTransformer
from loopyvq.models.prior.length_prior import LengthPrior
from loopyvq.models.prior.sampling import SamplingConfig
from loopyvq.models.prior.site_context import SiteContext
from loopyvq.models.prior.site_embedding import SiteEmbedding
from loopyvq.models.prior.site_generation import SiteGeneration
from loopyvq.models.prior.symbol_map import SymbolMap
from loopyvq.tokens import LARGEST_DEPTH, Tokens

__all__ = ["SitePrior", "SitePriorConfig"]


@dataclass(frozen=True)
class SitePriorConfig:
    """What it predicts and how large it is.

    Attributes:
        codebook_size: number of codes.
        max_depth: largest length of a site, 255 at most.
        min_length: least length of a site.
        rows: most sites along the height.
        columns: most sites along the width.
        lengths: ``inside``: a STOP ends each site; ``first``: a map of all lengths comes first, and
            a person may paint it.
        transformer: the one over sites.
        depth: the one over the turns of a site.
        condition: what is known of an image.
        neighbours: tell every site what its nearest predecessors say, beside what attention finds.
    """

    codebook_size: int = 512
    max_depth: int = 8
    min_length: int = 0
    rows: int = 16
    columns: int = 16
    lengths: Literal["inside", "first"] = "inside"
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    depth: TransformerConfig = field(
        default_factory=lambda: TransformerConfig(width=128, layers=2, heads=4)
    )
    condition: ConditionConfig = field(default_factory=ConditionConfig)
    neighbours: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_numbers(self, "at least 1", "codebook_size", "max_depth", "rows", "columns")
        if self.max_depth > LARGEST_DEPTH:
            raise ConfigError(f"max_depth must be {LARGEST_DEPTH} at most, got {self.max_depth}")
        if not 0 <= self.min_length <= self.max_depth:
            raise ConfigError(
                f"min_length must be within 0..{self.max_depth}, got {self.min_length}"
            )


class SitePrior(nn.Module):
    """A distribution over tokens of any length per site.

    Args:
        config: what it predicts and how large it is.

    Example:
        >>> small = TransformerConfig(width=8, layers=1, heads=2)
        >>> prior = SitePrior(
        ...     SitePriorConfig(codebook_size=5, max_depth=3, transformer=small, depth=small)
        ... )
        >>> request = Request(grid=(2, 2), batch=1)
        >>> tokens = prior.generate(request, SamplingConfig(), torch.Generator().manual_seed(0))
        >>> tokens.validate(5).codes.shape
        torch.Size([1, 2, 2, 3])
        >>> bool(prior(tokens).total.sum() > 0)
        True
    """

    def __init__(self, config: SitePriorConfig) -> None:
        super().__init__()
        self.config = config
        size, depth = config.codebook_size, config.max_depth
        width, where = config.transformer.width, (config.rows, config.columns)
        first = config.lengths == "first"
        self.embedding = SiteEmbedding(size, depth, width)
        self.context = SiteContext(
            config.transformer, config.condition, *where, neighbours=config.neighbours
        )
        self.depth = DepthTransformer(
            size,
            depth,
            config.min_length,
            width,
            config.depth,
            stops=not first,
        )
        self.lengths: LengthPrior | None = None
        self.ahead: SymbolMap | None = None
        if first:
            self.lengths = LengthPrior(
                config.min_length, depth, config.transformer, config.condition, *where
            )
            self.ahead = SymbolMap(depth + 1, width)

    def forward(
        self,
        tokens: Tokens,
        condition: Condition | None = None,
        dropped: Bool[Tensor, " b"] | None = None,
    ) -> TokenNats:
        """Give the likelihood of tokens.

        Args:
            tokens: sites of shape ``b h w``, none shorter than ``min_length``.
            condition: what is known of the images.
            dropped: images whose condition is withheld.

        Returns:
            Nats per site, with gradient; ``stop`` is the nats of the lengths.

        Raises:
            ValueError: the tokens are not those of such a prior, or a condition does not fit.
        """
        condition = condition or Condition()
        config = self.config
        require_tokens(tokens, config.codebook_size, config.min_length, config.max_depth)
        content = self.embedding(*tokens)
        extra = None
        if self.ahead is not None:
            extra = self.ahead(tokens.lengths, tokens.lengths.shape[1:])
        context = self.context(content, condition, dropped, extra)
        nats = self.depth(
            context.flatten(0, 1),
            tokens.codes.flatten(0, 2),
            tokens.lengths.flatten(),
        )
        code, stop = (item.reshape(tokens.lengths.shape) for item in nats)
        if self.lengths is not None:
            stop = self.lengths(tokens.lengths, condition, dropped)
        return TokenNats(code, stop)

    @torch.no_grad()
    def start_from(self, counts: Int[Tensor, "l v"]) -> None:
        """Begin with the odds that symbols have, whatever came before.

        Args:
            counts: how often each code, CONTINUE and STOP come at each turn.
        """
        self.depth.start_from(counts)
        if self.lengths is not None:
            self.lengths.start_from(counts)

    @torch.no_grad()
    def generate(
        self,
        request: Request,
        sampling: SamplingConfig,
        generator: torch.Generator,
        on_site: OnSite | None = None,
    ) -> Tokens:
        """Draw tokens, site by site.

        Args:
            request: how many, on what grid, given what.
            sampling: how to draw.
            generator: of the CPU; gives the random numbers, all at the start, image by image, so
                that images do not depend on the size of their batch.
            on_site: told of progress.

        Returns:
            Tokens with sites of shape ``b h w``; known ones as they were.

        Raises:
            ValueError: the grid is larger than the prior, or what is given does not fit.
        """
        return SiteGeneration(self, request, sampling, generator).run(on_site)
