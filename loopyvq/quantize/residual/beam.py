"""Beam search: keep several sums of codes per vector and extend them all, turn by turn.

The tokens are those of the same loop and decode alike; only the search for them looks further. A
vector whose greedy walk is better keeps it, so the result is never worse.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from loopyvq.quantize.residual.walk import Limits, Walk
from loopyvq.tokens import CONTINUE, PAD

__all__ = ["Costs", "better_of", "dense_beam"]

# Paths times codes of one block of rows.
_COSTS_PER_BLOCK = 1 << 22
# Extensions that are compared exactly, beyond the paths that are kept.
_SPARE = 8


class Costs(NamedTuple):
    """What a path costs beside its squared error.

    Attributes:
        rates: ``n``, float64; price of one unit of ``prices``, as squared error in units of
            ``sigma``; where it is 0 a path goes on until the threshold, elsewhere it ends where
            error and price together are least.
        prices: ``k``; relative price of every code.
        dummy_price: that of `CONTINUE`.
    """

    rates: Float[Tensor, " n"]
    prices: Float[Tensor, " k"]
    dummy_price: float

    def of(self, walk: Walk) -> Float[Tensor, " n"]:
        """Add up what a walk costs."""
        padded = torch.cat([self.prices, self.prices.new_tensor([self.dummy_price, 0.0])]).double()
        size = len(self.prices)
        index = torch.where(walk.codes == CONTINUE, size, walk.codes)
        price = padded[torch.where(walk.codes == PAD, size + 1, index)].sum(dim=1)
        return walk.norms[:, -1].square() + self.rates * price


def better_of(searched: Walk, greedy: Walk, costs: Costs) -> Walk:
    """Keep each vector's better walk.

    With a price the cheaper one. Without, the one that came within the threshold; if both did, the
    shorter; else the one with the smaller error.

    Args:
        searched: what a beam search found.
        greedy: what the loop found.
        costs: the prices.

    Returns:
        The better of the two, vector by vector; the greedy one if they are equal.
    """
    cheaper = costs.of(searched) < costs.of(greedy)
    both = searched.reached & greedy.reached
    shorter = searched.lengths < greedy.lengths
    as_short = searched.lengths == greedy.lengths
    wins = torch.where(both, shorter | (as_short & cheaper), cheaper)
    wins = torch.where(searched.reached == greedy.reached, wins, searched.reached)
    wins = torch.where(costs.rates > 0, cheaper, wins)
    column = wins.unsqueeze(1)
    return Walk(
        torch.where(column, searched.codes, greedy.codes),
        torch.where(wins, searched.lengths, greedy.lengths),
        torch.where(column, searched.norms, greedy.norms),
        torch.where(wins, searched.reached, greedy.reached),
    )


def dense_beam(
    latents: Float[Tensor, "n d"],
    codebooks: Float[Tensor, "l k d"],
    sigma: Float[Tensor, ""],
    limits: Limits,
    size: int,
    costs: Costs,
) -> Walk:
    """Search with torch alone, in float64.

    Args:
        latents: the vectors, in their own units.
        codebooks: the codes of each turn, its gain included, in units of ``sigma``.
        sigma: the unit.
        limits: when to stop.
        size: paths that are kept per vector.
        costs: prices of the codes.

    Returns:
        The cheapest path of every vector.
    """
    rows = max(1, _COSTS_PER_BLOCK // (size * codebooks.shape[1]))
    parts = []
    for start in range(0, max(1, len(latents)), rows):
        block = slice(start, start + rows)
        some = costs._replace(rates=costs.rates[block])
        search = _Paths(latents[block], codebooks, sigma, limits.of(block), size, some)
        parts.append(search.run())
    return Walk.join(parts)


class _Paths:
    """The paths of one block of rows; ``b`` of them per row, the cheapest first."""

    def __init__(
        self,
        latents: Tensor,
        codebooks: Tensor,
        sigma: Tensor,
        limits: Limits,
        size: int,
        costs: Costs,
    ) -> None:
        self.exact, self.sigma = latents.double(), sigma
        self.codebooks, self.limits, self.size, self.costs = codebooks, limits, size, costs
        count, self.turns = len(latents), len(codebooks)
        self.totals = torch.zeros_like(latents).unsqueeze(1)
        self.spent = self.exact.new_zeros(count, 1)
        self.energies = self.exact.square().sum(dim=1, keepdim=True)
        self.symbols = torch.full((count, 1, self.turns), PAD, device=latents.device)
        self.best = torch.full((count, self.turns), PAD, device=latents.device)
        self.least = torch.full_like(self.energies[:, 0], torch.inf)
        self.done = torch.zeros_like(self.least, dtype=torch.bool)

    def run(self) -> Walk:
        """Extend until every row has ended."""
        for turn in range(self.turns + 1):
            self._end(turn)
            if turn == self.turns or bool(self.done.all()):
                break
            self._extend(turn)
        return self._walk()

    def _end(self, turn: int) -> None:
        """Note the cheapest path where it may end here."""
        limits, rates = self.limits, self.costs.rates
        spent_all = limits.depth <= turn
        may_end = ~self.done & (spent_all | (turn >= limits.min_length))
        unit = self.sigma.double()
        cost = self.energies[:, 0] / unit.square() + rates * self.spent[:, 0]
        improves = may_end & ((rates == 0) | (cost < self.least))
        self.best = torch.where(improves.unsqueeze(1), self.symbols[:, 0], self.best)
        self.least = torch.where(improves, cost, self.least)
        near = self.energies[:, 0].sqrt() / unit <= limits.threshold
        self.done = self.done | spent_all | (may_end & (rates == 0) & near)

    def _extend(self, turn: int) -> None:
        """Replace the paths by their cheapest extensions."""
        symbols, parents = self._preselect(turn)
        unit, rates = self.sigma.double(), self.costs.rates.unsqueeze(1)
        row = torch.arange(len(symbols), device=symbols.device).unsqueeze(1)
        is_code = symbols >= 0
        steps = self.codebooks[turn][symbols.clamp(min=0)] * is_code.unsqueeze(2)
        totals = self.totals[row, parents] + steps
        error = self.exact.unsqueeze(1) - (totals * self.sigma).double()
        energies = error.square().sum(dim=2)
        before = self.energies[row, parents]
        prices = self.costs.prices.double()[symbols.clamp(min=0)]
        spent = self.spent[row, parents] + torch.where(is_code, prices, self.costs.dummy_price)
        cost = energies / unit.square() + rates * spent
        if self.limits.may_skip(turn):
            helps = energies < (1.0 - self.limits.min_gain) * before
            cost = cost.where(helps | ~is_code, torch.inf)
        cost = cost.where(before < torch.inf, torch.inf)  # a path that was forbidden has ended
        energies = energies.where(cost < torch.inf, torch.inf)
        order = cost.sort(dim=1, stable=True).indices[:, : self.size]
        chosen = parents.gather(1, order)
        past = self.symbols[row, chosen]
        past[:, :, turn] = symbols.gather(1, order)
        self.totals, self.symbols = totals[row, order], past
        self.energies, self.spent = energies.gather(1, order), spent.gather(1, order)

    def _preselect(self, turn: int) -> tuple[Int[Tensor, "n c"], Int[Tensor, "n c"]]:
        """List the extensions that may be among the cheapest: symbols and parents, in order."""
        codes = self.codebooks[turn].double()
        size, paths = len(codes), self.totals.shape[1]
        unit, rates = self.sigma.double(), self.costs.rates[:, None, None]
        left = (self.exact.unsqueeze(1) - (self.totals * self.sigma).double()) / unit
        centre = codes.mean(dim=0)
        shifted, centred = left - centre, codes - centre
        distance = (
            shifted.square().sum(dim=2, keepdim=True)
            + centred.square().sum(dim=1)
            - 2 * shifted @ centred.T
        )
        if self.limits.may_skip(
            turn
        ):  # a code must lower the error; which do exactly is decided later
            most_left = (1.0 - self.limits.min_gain) * self.energies.unsqueeze(2) / unit.square()
            distance = distance.where(distance <= (1.0 + 1e-5) * most_left, torch.inf)
        distance = distance.where(self.energies.unsqueeze(2) < torch.inf, torch.inf)
        cost = distance + rates * (self.spent.unsqueeze(2) + self.costs.prices.double())
        most = min(self.size + _SPARE, paths * size)
        found = cost.flatten(1).topk(most, dim=1, largest=False).indices.sort(dim=1).values
        symbols, parents = found % size, found // size
        if self.limits.may_skip(turn):
            every = torch.arange(paths, device=codes.device).expand(len(found), paths)
            symbols = torch.cat([torch.full_like(every, CONTINUE), symbols], dim=1)
            parents = torch.cat([every, parents], dim=1)
        return symbols, parents

    def _walk(self) -> Walk:
        """Give the best paths, with the errors along them."""
        total, unit = torch.zeros_like(self.totals[:, 0]), self.sigma.double()
        norms = []
        for turn in range(self.turns + 1):
            error = self.exact - (total * self.sigma).double()
            norms.append(error.square().sum(dim=1).sqrt() / unit)
            if turn < self.turns:
                code = self.best[:, turn]
                total = total + self.codebooks[turn][code.clamp(min=0)] * (code >= 0).unsqueeze(1)
        lengths = (self.best != PAD).sum(dim=1)
        reached = norms[-1] <= self.limits.threshold
        return Walk(self.best, lengths, torch.stack(norms, dim=1), reached)
