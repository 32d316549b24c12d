"""Draw an image's tokens site by site.

content of the site before --SiteReader--> context --DepthTransformer.draw--> tokens of the site
         ^                                                                        |
         +------------------------------------------------------------------------+
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from loopyvq.conditions import Condition
from loopyvq.models.prior.base import OnSite, Request
from loopyvq.models.prior.length_budget import LengthBudgets, require_lengths_to_choose
from loopyvq.models.prior.sampling import SamplingConfig
from loopyvq.models.prior.site_context import SiteReader
from loopyvq.tokens import Tokens

if TYPE_CHECKING:
    from loopyvq.models.prior.site_prior import SitePrior

__all__ = ["SiteGeneration"]


class SiteGeneration:
    """One batch of images on the way.

    Args:
        prior: gives the likelihoods.
        request: what to generate.
        sampling: how to draw.
        generator: gives the random numbers.

    Raises:
        ValueError: what is asked for does not fit the prior.
    """

    def __init__(
        self,
        prior: "SitePrior",
        request: Request,
        sampling: SamplingConfig,
        generator: torch.Generator,
    ) -> None:
        config = prior.config
        self._prior = prior
        self._sampling = sampling
        device = prior.context.start.device
        self._canvas, self._mask = request.canvas(config.max_depth, device)
        batch, sites = request.batch, request.grid[0] * request.grid[1]
        draws = torch.rand(
            batch, sites, config.max_depth + 1, generator=generator, dtype=torch.float64
        ).to(device)
        self._uniform = draws[:, :, :-1]
        condition = (request.condition or Condition()).to(device)
        self._guided = config.condition.is_guided(sampling.guidance)
        self._lengths = self._draw_lengths(request, condition, draws[:, :, -1])
        ahead = None
        if prior.ahead is not None and self._lengths is not None:
            ahead = prior.ahead(self._lengths, request.grid)
        self._reader = SiteReader.for_drawing(
            prior.context, batch, request.grid, condition, ahead, guided=self._guided
        )
        self._cache = prior.depth.cache(batch * (1 + self._guided))
        free = sampling.length_budget if self._lengths is None else None
        self._budgets = LengthBudgets(free, batch, sites)
        self._rows = torch.arange(batch, device=device)

    def run(self, on_site: OnSite | None) -> Tokens:
        """Draw every site that is not known.

        Args:
            on_site: told of progress.

        Returns:
            The tokens.
        """
        prior, canvas = self._prior, self._canvas
        codes, lengths = canvas.codes.flatten(1, 2), canvas.lengths.flatten(1)
        known = self._mask.flatten(1)
        # Sites at the start that are known in all images are read at once.
        first = int(known.all(dim=0).long().cumprod(0).sum())
        self._budgets.spend(lengths[:, :first])
        unread = 0
        for site in range(first, known.shape[1]):
            content = prior.embedding(codes[:, unread:site], lengths[:, unread:site])
            context = self._reader.read(content.repeat(1 + self._guided, 1, 1))[:, -1]
            drawn, length = self._draw(context, site)
            keep = known[:, site]
            codes[:, site] = torch.where(keep.unsqueeze(1), codes[:, site], drawn)
            lengths[:, site] = torch.where(keep, lengths[:, site], length)
            self._budgets.spend(lengths[:, site : site + 1])
            unread = site
            if on_site is not None:
                on_site(site + 1, Tokens(canvas.codes, canvas.lengths))
        return Tokens(canvas.codes, canvas.lengths)

    def _draw(self, context: Tensor, site: int) -> tuple[Tensor, Tensor]:
        eagerness = self._budgets.eagerness(self._rows) if self._budgets else 0.0
        lengths = None if self._lengths is None else self._lengths.flatten(1)[:, site]
        return self._prior.depth.draw(
            context,
            self._sampling,
            self._uniform[:, site],
            cache=self._cache,
            eagerness=eagerness,
            lengths=lengths,
        )

    def _draw_lengths(
        self, request: Request, condition: Condition, uniform: Tensor
    ) -> Tensor | None:
        """Draw or take the lengths of all sites, where the prior wants them first."""
        prior, config = self._prior.lengths, self._prior.config
        budget = self._sampling.length_budget
        require_lengths_to_choose(budget, config.min_length, config.max_depth)
        if prior is None:
            if request.painted is not None:
                raise ValueError(
                    'lengths can only be painted for a prior whose lengths come "first"'
                )
            return None
        lengths, mask = self._canvas.lengths, self._mask
        if request.painted is not None:
            if budget is not None:
                raise ValueError("painted lengths leave nothing to a budget of tokens")
            painted = request.painted.to(lengths.device)
            if painted.shape != lengths.shape:
                raise ValueError(
                    f"painted lengths must be of sites {tuple(lengths.shape)}, got "
                    f"{tuple(painted.shape)}"
                )
            least, most = int(painted.min()), int(painted.max())
            if least < config.min_length or most > config.max_depth:
                raise ValueError(
                    f"painted lengths must be within {config.min_length}..{config.max_depth}, "
                    f"got {least}..{most}"
                )
            return torch.where(mask, lengths, painted)
        drawn: Tensor = prior.generate(lengths, mask, condition, self._sampling, uniform)
        return drawn
