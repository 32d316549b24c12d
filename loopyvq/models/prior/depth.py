"""Spell the tokens of one site, one after the other, until STOP."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from loopyvq.models.prior.attention import KeyValueCache, Transformer, TransformerConfig
from loopyvq.models.prior.sampling import SamplingConfig, draw, guide
from loopyvq.tokens import CONTINUE, PAD

__all__ = ["DepthTransformer", "SiteNats"]


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
        self.head = nn.Linear(width, codebook_size + 1 + stops)  # codes, CONTINUE, perhaps STOP
        nn.init.normal_(self.codes.weight, std=0.02)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        if stops:  # even odds: as one symbol among all, STOP would come far too seldom at first
            nn.init.constant_(self.head.bias[-1:], math.log(codebook_size + 1))

    def forward(
        self, context: Float[Tensor, "n d"], codes: Int[Tensor, "n l"], lengths: Int[Tensor, " n"]
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
        counts = torch.bincount(lengths, minlength=self.max_depth + 1).tolist()
        order = lengths.argsort(stable=True)
        marked = torch.where(codes < 0, self.codebook_size, codes)
        contexts = torch.split(self.context(context)[order], counts)
        pieces = zip(contexts, torch.split(marked[order], counts), strict=True)
        found = [
            self._nats(*piece, length) for length, piece in enumerate(pieces) if counts[length]
        ]
        back = order.argsort()
        return SiteNats(*(torch.cat(part)[back] for part in zip(*found, strict=True)))

    def _nats(self, context: Tensor, codes: Tensor, length: int) -> SiteNats:
        """Give the likelihood of sites that all have one length."""
        turns = min(length + self.stops, self.max_depth)
        if turns == 0:
            nothing = context.new_zeros(len(context), dtype=torch.float32)
            return SiteNats(nothing, nothing)
        before = self.codes(codes[:, : turns - 1])
        before = torch.cat([before.new_zeros(len(codes), 1, before.shape[2]), before], dim=1)
        features = context.unsqueeze(1) + self.turns[:turns] + before
        logits = self.head(self.transformer(features)).float()
        of_codes = logits[..., : self.codebook_size + 1]
        any_code = of_codes.logsumexp(dim=2)
        chosen = of_codes[:, :length].gather(2, codes[:, :length].unsqueeze(2)).squeeze(2)
        code = (any_code[:, :length] - chosen).sum(dim=1)
        if not self.stops:
            return SiteNats(code, torch.zeros_like(code))
        stop = logits[..., -1]
        everything = torch.logaddexp(any_code, stop)
        went_on = (everything - any_code)[:, self.min_length : length].sum(dim=1)
        stopped = (everything - stop)[:, max(length, self.min_length) :].sum(dim=1)
        return SiteNats(code, went_on + stopped)

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
        context = self.context(context)
        cache.length = 0
        codes = torch.full((len(uniform), self.max_depth), PAD, device=context.device)
        ended = codes.new_zeros(len(codes), dtype=torch.bool)
        features = context
        for turn in range(self.max_depth):
            seen = self.transformer((features + self.turns[turn]).unsqueeze(1), cache=cache)
            logits = self.head(seen[:, 0]).float()
            if len(logits) > len(uniform):
                told, untold = logits.chunk(2)
                logits = guide(told, untold, sampling.guidance)
            chance = uniform[:, turn]
            if lengths is not None:
                ended = lengths <= turn
            elif turn >= self.min_length:
                stop = self._stop_probability(logits, sampling, eagerness)
                ended = ended | (chance < stop)
                # What is left of the number decides the code.
                chance = ((chance - stop) / (1 - stop).clamp(min=1e-12)).clamp(0, 1 - 1e-12)
            if bool(ended.all()):
                break
            of_codes = logits[:, : self.codebook_size + 1] / sampling.turn_temperature(turn)
            symbol = draw(of_codes, sampling, chance)
            codes[:, turn] = torch.where(ended, PAD, symbol)
            again = len(context) // len(uniform)
            features = context + self.codes(symbol).repeat(again, 1)
        found = (codes != PAD).sum(dim=1)
        return torch.where(codes == self.codebook_size, CONTINUE, codes), found

    def _stop_probability(
        self, logits: Tensor, sampling: SamplingConfig, eagerness: Tensor | float
    ) -> Tensor:
        """Give the probability of stopping, in float64."""
        any_code = logits[:, : self.codebook_size + 1].double().logsumexp(dim=1)
        odds = logits[:, -1].double() - any_code - eagerness
        temperature = sampling.of_stopping().temperature
        return (odds > 0).double() if temperature == 0 else (odds / temperature).sigmoid()
