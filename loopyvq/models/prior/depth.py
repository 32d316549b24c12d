"""Spell the tokens of one site, one after the other, until STOP."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loopyvq.models.prior.attention import KeyValueCache, Transformer, TransformerConfig
from loopyvq.models.prior.sampling import SamplingConfig, draw, guide, stop_probability
from loopyvq.tokens import CONTINUE, PAD

__all__ = ["Choose", "DepthTransformer", "SiteNats"]

Choose = Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Decides on the symbols of a turn, see `DepthTransformer.spell`."""


class SiteNats(NamedTuple):
    """Negative log-likelihoods of sites, in nats.

    Attributes:
        code: ``n``; of the codes.
        stop: ``n``; of going on and stopping.
    """

    code: Float[Tensor, " n"]
    stop: Float[Tensor, " n"]


class DepthTransformer(nn.Module):
    """Give the likelihood of a site's tokens, and draw them.

        context + turn 0, context + turn 1 + first code, ... --transformer--> code or STOP

    STOP is legal from turn ``min_length`` on and understood after ``max_depth`` tokens. With
    lengths given beforehand there is no STOP at all.

    Args:
        codebook_size: number of codes.
        max_depth: largest length.
        min_length: least length.
        context_width: width of the context.
        transformer: sizes.
        stops: whether the length is to be predicted.
    """

    def __init__(
        self,
        codebook_size: int,
        max_depth: int,
        min_length: int,
        context_width: int,
        transformer: TransformerConfig,
        *,
        stops: bool,
    ) -> None:
        super().__init__()
        self.codebook_size = codebook_size
        self.max_depth = max_depth
        self.min_length = min_length
        self.stops = stops
        width = transformer.width
        self.context = nn.Linear(context_width, width)
        self.codes = nn.Embedding(codebook_size + 1, width)  # the last row is CONTINUE
        self.turns = nn.Parameter(0.02 * torch.randn(max_depth, width))
        self.transformer = Transformer(transformer)
        symbols = codebook_size + 1 + stops  # codes, CONTINUE, perhaps STOP
        self.head = nn.Linear(width, symbols, bias=False)
        self.odds = nn.Parameter(torch.zeros(max_depth, symbols))
        nn.init.normal_(self.codes.weight, std=0.02)
        nn.init.normal_(self.head.weight, std=0.02)
        if stops:  # even odds: as one symbol among all, STOP would come far too seldom at first
            nn.init.constant_(self.odds[:, -1], math.log(codebook_size + 1))

    def forward(
        self,
        context: Float[Tensor, "n d"],
        codes: Int[Tensor, "n l"],
        lengths: Int[Tensor, " n"],
    ) -> SiteNats:
        """Give the likelihood of sites.

        Sites of equal length are read together, so nothing is padded.

        Args:
            context: what is known of each site.
            codes: as in `Tokens`.
            lengths: as in `Tokens`.

        Returns:
            Nats per site, float32, with gradient.
        """
        ends = (lengths + self.stops).clamp(max=self.max_depth)
        order = ends.argsort(stable=True)
        order = order[int((ends == 0).sum()) :]
        marked = torch.where(codes < 0, self.codebook_size, codes)
        nats = context.new_zeros(len(codes), dtype=torch.float32)
        if len(order) == 0:
            return SiteNats(nats, nats)
        segments = ends[order]
        site = order.repeat_interleave(segments)
        first = (segments.cumsum(0) - segments).repeat_interleave(segments)
        turn = torch.arange(len(site), device=site.device) - first
        last = self.codes(marked[site, (turn - 1).clamp(min=0)]) * (turn > 0).unsqueeze(1)
        features = self.context(context)[site] + self.turns[turn] + last
        seen = self.transformer(features.unsqueeze(0), segments=segments.tolist())[0]
        logits = (self.head(seen) + self.odds[turn]).float()
        any_code = logits[:, : self.codebook_size + 1].logsumexp(dim=1)
        goes_on = turn < lengths[site]
        chosen = logits.gather(1, marked[site, turn].unsqueeze(1)).squeeze(1)
        code = nats.index_add(0, site, (any_code - chosen).where(goes_on, 0.0))
        if not self.stops:
            return SiteNats(code, nats)
        stop = logits[:, -1]
        decided = torch.logaddexp(any_code, stop) - torch.where(goes_on, any_code, stop)
        decided = decided.where(turn >= self.min_length, 0.0)
        return SiteNats(code, nats.index_add(0, site, decided))

    @torch.no_grad()
    def start_from(self, counts: Int[Tensor, "l v"]) -> None:
        """Begin with the odds that symbols have at each turn, whatever came before.

        Args:
            counts: how often each code, CONTINUE and STOP come at each turn.
        """
        seen = counts.double()[:, : self.odds.shape[1]]
        # As if every symbol had been seen half a time more, and turns never run alike.
        self.odds.copy_(((seen + 0.5) / (seen + 0.5).sum(dim=1, keepdim=True)).log())

    def cache(self, batch: int) -> KeyValueCache:
        """Make memory for `draw`.

        Args:
            batch: number of sites at a time.

        Returns:
            A cache for one site's turns.
        """
        weight, config = self.context.weight, self.transformer.config
        return KeyValueCache(config, batch, self.max_depth, weight.dtype, weight.device)

    def draw(
        self,
        context: Float[Tensor, "n d"],
        sampling: SamplingConfig,
        uniform: Float[Tensor, "b l"],
        *,
        cache: KeyValueCache,
        eagerness: Tensor | float = 0.0,
        lengths: Int[Tensor, " b"] | None = None,
    ) -> tuple[Int[Tensor, "b l"], Int[Tensor, " b"]]:
        """Draw the tokens of one site of every image.

        Args:
            context: of ``b`` sites, or with guidance of ``b`` with their condition and then the
                same ``b`` without.
            sampling: how to draw.
            uniform: one number in [0, 1) for each image and turn.
            cache: from `cache`, for as many sites; what it holds is forgotten.
            eagerness: added to the log-odds of going on, for each image or all.
            lengths: how many tokens to draw, where STOP is not predicted.

        Returns:
            Codes and lengths as in `Tokens`.
        """

        def choose(turn: int, of_codes: Tensor, odds: Tensor) -> tuple[Tensor, Tensor]:
            if len(of_codes) > len(uniform):
                (told, untold), (stops, holds) = of_codes.chunk(2), odds.chunk(2)
                of_codes = guide(told, untold, sampling.guidance)
                odds = guide(stops, holds, sampling.guidance)
            chance, ends = uniform[:, turn], torch.zeros_like(uniform[:, turn], dtype=torch.bool)
            if lengths is not None:
                ends = lengths <= turn
            elif turn >= self.min_length:
                stop = stop_probability(odds - eagerness, sampling)
                ends = chance < stop
                # What is left of the number decides the code.
                chance = ((chance - stop) / (1 - stop).clamp(min=1e-12)).clamp(0, 1 - 1e-12)
            return draw(of_codes / sampling.turn_temperature(turn), sampling, chance), ends

        return self.spell(context, choose, len(uniform), cache=cache)

    def spell(
        self,
        context: Float[Tensor, "n d"],
        choose: Choose,
        batch: int,
        *,
        cache: KeyValueCache,
    ) -> tuple[Int[Tensor, "b l"], Int[Tensor, " b"]]:
        """Spell one site of every image, turn by turn, as something else decides.

        Args:
            context: of ``b`` sites, or a whole number of times as many.
            choose: is given the turn and for every context the logits of all codes and CONTINUE and
                the log odds of stopping; gives for each of the ``b`` sites a symbol,
                ``codebook_size`` for CONTINUE, and whether the site ends before it.
            batch: ``b``.
            cache: from `cache`, for as many sites as there are contexts; what it holds is
                forgotten.

        Returns:
            Codes and lengths as in `Tokens`.
        """
        context = self.context(context)
        cache.length = 0
        codes = torch.full((batch, self.max_depth), PAD, device=context.device)
        ended = codes.new_zeros(batch, dtype=torch.bool)
        features = context
        for turn in range(self.max_depth):
            seen = self.transformer((features + self.turns[turn]).unsqueeze(1), cache=cache)
            symbol, ends = choose(turn, *self._decisions(seen[:, 0], turn))
            ended = ended | ends
            if bool(ended.all()):
                break
            codes[:, turn] = torch.where(ended, PAD, symbol)
            features = context + self.codes(symbol).repeat(len(context) // batch, 1)
        found = (codes != PAD).sum(dim=1)
        return torch.where(codes == self.codebook_size, CONTINUE, codes), found

    def _decisions(self, seen: Tensor, turn: int) -> tuple[Tensor, Tensor]:
        """Give the logits of codes, and apart from them the log odds of stopping."""
        logits = (self.head(seen) + self.odds[turn]).float()
        of_codes = logits[:, : self.codebook_size + 1]
        return of_codes, logits[:, -1].double() - of_codes.double().logsumexp(dim=1)
