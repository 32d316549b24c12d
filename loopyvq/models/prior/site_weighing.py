"""Choose an image's tokens by what a prior charges for them.

latents --turn by turn: the code of least squared error + price * bits--> a site at every length
        --the length of least squared error + price * bits--> its tokens --> the next site

The nearest code costs a prior what it costs. Here every symbol is weighed by the error that it
leaves and by its bits under the prior, given all that was chosen before it: what the codec does
with its tables (`loopyvq.codec.weighing`), with a model like the one that will learn the tokens.
What a choice does to the bits of later sites is not weighed.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from loopyvq.conditions import Condition
from loopyvq.models.prior.site_context import SiteReader
from loopyvq.models.prior.site_prior import SitePrior, SitePriorConfig
from loopyvq.tokens import PAD, Tokens

__all__ = ["priced_tokens"]


@torch.no_grad()
def priced_tokens(
    prior: SitePrior,
    codes: Float[Tensor, "l k d"],
    latents: Float[Tensor, "b h w d"],
    price: Float[Tensor, "b h w"],
    condition: Condition | None = None,
    *,
    metric: Float[Tensor, "b d"] | None = None,
    dummies: bool = True,
) -> Tokens:
    """Choose the tokens of images.

    Args:
        prior: in evaluation mode; predicts lengths inside of sites.
        codes: of every turn, their gain included, in any unit.
        latents: what they shall add up to, in that unit.
        price: of a bit at each site, in squared error, 0 or more.
        condition: what is known of the images.
        metric: how much a squared error of each entry weighs, above 0; by default 1.
        dummies: whether a turn may say nothing.

    Returns:
        The tokens, of the prior's depth and least length.

    Raises:
        ValueError: the prior is of other codes, of fewer sites, of another condition, or tells
            lengths first.

    References:
        Chou, Lookabaugh and Gray, "Entropy-constrained vector quantization", 1989,
        https://doi.org/10.1109/29.17498
    """
    config, grid, batch = prior.config, latents.shape[1:3], len(latents)
    if config.lengths == "first":
        raise ValueError("a prior that tells all lengths first cannot weigh where sites stop")
    if codes.shape[:2] != (config.max_depth, config.codebook_size):
        raise ValueError(
            f"the prior knows {config.max_depth} turns of {config.codebook_size} codes, got "
            f"{codes.shape[0]} of {codes.shape[1]}"
        )
    reader = SiteReader.for_drawing(
        prior.context, batch, (grid[0], grid[1]), condition or Condition(), guided=False
    )
    cache, sites = prior.depth.cache(batch), grid[0] * grid[1]
    left, per_nat = latents.flatten(1, 2), price.flatten(1) / math.log(2)
    weights = torch.ones_like(left[:, 0]) if metric is None else metric
    chosen = torch.full((batch, sites, config.max_depth), PAD, device=latents.device)
    lengths = chosen.new_zeros(batch, sites)
    for site in range(sites):
        before = slice(max(0, site - 1), site)
        content = prior.embedding(chosen[:, before], lengths[:, before])
        context, here = reader.read(content)[:, -1], (left[:, site], weights, per_nat[:, site])
        choose = _SiteChoice(config, codes, *here, dummies=dummies)
        said, _ = prior.depth.spell(context, choose, batch, cache=cache)
        lengths[:, site] = choose.lengths
        ran = torch.arange(config.max_depth, device=said.device) < choose.lengths.unsqueeze(1)
        chosen[:, site] = torch.where(ran, said, PAD)
    return Tokens(chosen.reshape(*latents.shape[:3], -1), lengths.reshape(latents.shape[:3]))


class _SiteChoice:
    """Say one site of every image at all lengths that can pay; see `DepthTransformer.spell`.

    Attributes:
        lengths: which length costs least, of those that were reached.
    """

    def __init__(
        self,
        config: SitePriorConfig,
        codes: Tensor,
        left: Tensor,
        weights: Tensor,
        price: Tensor,
        *,
        dummies: bool,
    ) -> None:
        self.lengths = torch.zeros_like(price, dtype=torch.int64)
        self._config, self._codes, self._dummies = config, codes, dummies
        self._left, self._weights, self._price = left, weights, price
        self._spent, self._least = torch.zeros_like(price), torch.full_like(price, math.inf)

    def __call__(self, turn: int, of_codes: Tensor, odds: Tensor) -> tuple[Tensor, Tensor]:
        if turn >= self._config.min_length:
            self._may_end(turn, F.softplus(-odds))
            self._spent = self._spent + self._price * F.softplus(odds).to(self._price)
        codes = self._codes[turn]
        errors = self._weights @ codes.T.square() - 2 * (self._left * self._weights) @ codes.T
        same = torch.full_like(self._price, 0.0 if self._dummies else math.inf)
        nats = -of_codes.log_softmax(dim=1)
        costs = torch.cat([errors, same.unsqueeze(1)], dim=1) + self._price.unsqueeze(1) * nats
        symbol = costs.argmin(dim=1)
        hopeless = self._spent >= self._least
        self._spent = self._spent + self._price * nats.gather(1, symbol.unsqueeze(1)).squeeze(1)
        says = (symbol < len(codes)).unsqueeze(1)
        self._left = self._left - codes[symbol.clamp(max=len(codes) - 1)] * says
        if turn + 1 == self._config.max_depth:
            self._may_end(turn + 1, torch.zeros_like(self._price))
        return symbol, hopeless

    def _energy(self) -> Tensor:
        return (self._left.square() * self._weights).sum(dim=1)

    def _may_end(self, length: int, nats: Tensor) -> None:
        """Take a length where it costs less than all before it."""
        cost = self._energy() + self._spent + self._price * nats.to(self._price)
        self.lengths = torch.where(cost < self._least, length, self.lengths)
        self._least = torch.minimum(cost, self._least)
