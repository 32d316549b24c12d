"""Draw images symbol by symbol, all of a batch at once.

    symbol before, where it stands --FlatTokensPrior--> logits --legal, guided--> next symbol
                  ^                                                                    |
                  +--------------------------------------------------------------------+

Sequences differ in length: those that are complete leave the batch.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from loopyvq.conditions import Condition
from loopyvq.models.prior.attention import KeyValueCache
from loopyvq.models.prior.base import OnSite, Request
from loopyvq.models.prior.flat_grammar import Reading
from loopyvq.models.prior.length_budget import LengthBudgets, require_lengths_to_choose
from loopyvq.models.prior.orders import site_order
from loopyvq.models.prior.sampling import SamplingConfig, draw, guide, stop_probability
from loopyvq.tokens import PAD, Tokens

if TYPE_CHECKING:
    from loopyvq.models.prior.flat_tokens import FlatTokensPrior

__all__ = ["FlatGeneration"]

_NOT_KNOWN = -1


class FlatGeneration:
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
        prior: "FlatTokensPrior",
        request: Request,
        sampling: SamplingConfig,
        generator: torch.Generator,
    ) -> None:
        if request.painted is not None:
            raise ValueError('lengths can only be painted for a prior whose lengths come "first"')
        self._prior, self._sampling, self._grammar = prior, sampling, prior.grammar
        device, batch = prior.states.device, request.batch
        canvas, mask = request.canvas(prior.config.max_depth, device)
        least = prior.config.min_length
        require_lengths_to_choose(sampling.length_budget, least, prior.config.max_depth)
        if bool((mask & (canvas.lengths < least)).any()):
            raise ValueError(f"known sites must have at least {least} tokens")
        order = site_order(prior.config.order, *request.grid).to(device)
        self._grid, self._sites = request.grid, len(order)
        # Images that are complete go on at one site more, until they leave the batch.
        self._order = functional.pad(order, (0, 1), value=self._sites)
        self._codes = functional.pad(canvas.codes.flatten(1, 2), (0, 0, 0, 1), value=PAD)
        self._lengths = functional.pad(canvas.lengths.flatten(1), (0, 1))
        self._mask = functional.pad(mask.flatten(1), (0, 1))[:, self._order]
        size = (batch, self._sites, self._grammar.most_steps)
        uniform = torch.rand(size, generator=generator, dtype=torch.float64).to(device)
        self._uniform = functional.pad(uniform, (0, 0, 0, 1))
        self._guided = prior.config.condition.is_guided(sampling.guidance)
        twice = torch.arange(batch * (1 + self._guided), device=device)
        condition = (request.condition or Condition()).to(device).select(twice % batch)
        embedded = prior.condition(condition, request.grid, len(twice), twice >= batch)
        about = prior.placed(request.grid) + embedded.sites[:, order]
        self._about = functional.pad(about, (0, 0, 0, 1))
        self._prefix = embedded.prefix
        self._turn_factors = torch.tensor(
            [sampling.turn_temperature(turn) for turn in range(prior.config.max_depth + 1)]
        ).to(device)
        self._budgets = LengthBudgets(sampling.length_budget, batch, self._sites)

    def run(self, on_site: OnSite | None) -> Tokens:
        """Draw every symbol that is not known.

        Args:
            on_site: told of progress: of the image that is least far.

        Returns:
            The tokens.
        """
        if bool(self._mask[:, :-1].all()):
            return self._tokens()
        known, reading, logits, cache = self._begin()
        rows = torch.arange(len(known), device=known.device)
        while True:
            drawn = self._draw(logits, reading, rows)
            given = known[rows, reading.site, reading.step]
            symbols = torch.where(given < 0, drawn, given)
            self._write(symbols, reading, rows)
            moved = self._grammar.advance(reading, symbols)
            moved = moved._replace(site=moved.site.clamp(max=self._sites))
            self._report(reading, moved, rows, on_site)
            done = moved.site == self._sites
            if bool(done.all()):
                return self._tokens()
            if 8 * int(done.sum()) >= len(done):
                keep = (~done).nonzero().squeeze(1)
                rows, symbols = rows[keep], symbols[keep]
                moved = Reading(*(item[keep] for item in moved))
                cache = cache.rows(torch.cat([keep, keep + len(done)]) if self._guided else keep)
            reading = moved
            logits = self._logits(symbols.unsqueeze(1), reading, rows, cache)

    def _tokens(self) -> Tokens:
        batch = len(self._lengths)
        codes, lengths = self._codes[:, :-1], self._lengths[:, :-1]
        return Tokens(
            codes.reshape(batch, *self._grid, codes.shape[2]), lengths.reshape(batch, *self._grid)
        )

    def _begin(self) -> tuple[Tensor, Reading, Tensor, KeyValueCache]:
        """Read the condition and the known symbols that come first in all images at once."""
        prior, grammar, order = self._prior, self._grammar, self._order[:-1]
        spelled = grammar.spell(self._codes[:, order], self._lengths[:, order])
        image, (site, _, _, step) = spelled.image, spelled.before
        known = torch.full_like(self._uniform, _NOT_KNOWN, dtype=torch.int64)
        known[image, site, step] = torch.where(self._mask[image, site], spelled.symbols, _NOT_KNOWN)
        leading = site < self._mask.long().cumprod(1).sum(1)[image]
        batch = len(known)
        counts = image[leading].bincount(minlength=batch)
        ahead = int((counts - self._mask[:, :-1].all(1).long()).min())
        ends = image.bincount(minlength=batch).cumsum(0)
        firsts = functional.pad(ends[:-1], (1, 0)).unsqueeze(1)
        place = firsts + torch.arange(ahead + 1, device=site.device)
        previous = spelled.symbols[place].roll(1, dims=1)
        previous[:, 0] = grammar.size
        reading = Reading(*(item[place] for item in spelled.before))
        capacity = self._prefix.shape[1] + self._sites * grammar.most_steps
        memory = (len(self._prefix), capacity, prior.states.dtype, prior.states.device)
        cache = KeyValueCache(prior.config.transformer, *memory)
        rows = torch.arange(batch, device=site.device)
        logits = self._logits(previous, reading, rows, cache, self._prefix)
        last = Reading(*(item[:, -1] for item in reading))
        if self._budgets:
            for row, done in enumerate(last.site.tolist()):
                self._budgets.spend_in(row, self._lengths[row, order[:done]].tolist())
        return known, last, logits, cache

    def _logits(
        self,
        previous: Tensor,
        reading: Reading,
        rows: Tensor,
        cache: KeyValueCache,
        prefix: Tensor | None = None,
    ) -> Tensor:
        """Read symbols and give the guided logits of what follows the last."""
        flat = Reading(*(item.reshape(len(rows), -1) for item in reading))
        if self._guided:
            previous, rows = previous.repeat(2, 1), torch.cat([rows, rows + len(self._mask)])
            flat = Reading(*(item.repeat(2, 1) for item in flat))
        features = self._prior.embed(previous, flat, self._about[rows.unsqueeze(1), flat.site])
        unmasked = 0
        if prefix is not None:
            features, unmasked = torch.cat([prefix, features], dim=1), prefix.shape[1]
        seen: Tensor = self._prior.transformer(features, cache, unmasked=unmasked)
        logits: Tensor = self._prior.logits(seen[:, -1]).float()
        if self._guided:
            conditional, unconditional = logits.chunk(2)
            logits = guide(conditional, unconditional, self._sampling.guidance)
        return logits

    def _draw(self, logits: Tensor, reading: Reading, rows: Tensor) -> Tensor:
        """Draw whether the site ends, then by which symbol it ends or goes on."""
        grammar, sampling = self._grammar, self._sampling
        state = grammar.state(reading)
        logits = logits.masked_fill(~grammar.legal[state], -torch.inf)
        if self._budgets:
            logits = logits + self._budgets.eagerness(rows).unsqueeze(1) * grammar.commits[state]
        ending = logits.masked_fill(~grammar.ends, -torch.inf)
        going = logits.masked_fill(grammar.ends, -torch.inf)
        end = stop_probability(ending.double().logsumexp(1) - going.double().logsumexp(1), sampling)
        chance = self._uniform[rows, reading.site, reading.step]
        ends = chance < end
        # What is left of the number after one choice makes the other.
        chance = torch.where(ends, chance / end, (chance - end) / (1 - end)).clamp(0, 1 - 1e-12)
        chosen = torch.where(ends.unsqueeze(1), ending, going)
        factors = self._turn_factors[reading.turn].unsqueeze(1)
        drawn: Tensor = draw(chosen / factors, sampling, chance)
        return drawn

    def _write(self, symbols: Tensor, reading: Reading, rows: Tensor) -> None:
        """Put down what symbols stand for."""
        codes, site = self._codes, self._order[reading.site]
        end = reading.turn + self._grammar.turns[symbols]
        turn = torch.arange(codes.shape[2], device=codes.device)
        new = (turn >= reading.turn.unsqueeze(1)) & (turn < end.unsqueeze(1))
        tokens = self._grammar.tokens[symbols].unsqueeze(1)
        codes[rows, site] = torch.where(new, tokens, codes[rows, site])
        self._lengths[rows, site] = end

    def _report(
        self, reading: Reading, moved: Reading, rows: Tensor, on_site: OnSite | None
    ) -> None:
        """Count the tokens of sites that are complete, and tell of progress."""
        if self._budgets:
            for index in (moved.site > reading.site).nonzero().flatten().tolist():
                row, site = int(rows[index]), self._order[reading.site[index]]
                self._budgets.spend_in(row, [int(self._lengths[row, site])])
        if on_site is not None:
            before, after = int(reading.site.min()), int(moved.site.min())
            for done in range(before + 1, after + 1):
                on_site(done, self._tokens())
