"""Tokens chosen anew, site by site, along several ways from code to code at once.

The first choice takes, turn by turn, what is cheapest there; a dearer code may leave less for the
turns to come. Here each site follows the best few ways through all of its turns, knowing the
tokens of all its neighbours and so the contexts in which its own will be coded.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int, Int16, Int32, Int64, Integer
from torch import Tensor

from loopyvq.codec.stakes import BITS_OF_GOING_ON, Stakes
from loopyvq.codec.turn_costs import TurnCosts, as_floats
from loopyvq.coding import CodedTokens, Tables
from loopyvq.coding.features import (
    LATEST,
    NEIGHBOURS,
    NUM_FACTS,
    codes_to_add,
    facts_of,
    features_of,
)
from loopyvq.coding.hindsight import Hindsight
from loopyvq.coding.order import NUM_PHASES, batches_of
from loopyvq.coding.turns import CONTINUE, PAD, plane_of_turn, share_at

__all__ = ["USUAL_WAYS", "searched"]

USUAL_WAYS = 8
"""Ways that each site follows where nobody says how many."""

# Turns beyond the longest site of the first choice that a site may try.
_MORE_TURNS = 4
# Added to how often a symbol came and should have come, as the coder does while it learns.
_HEAD_START = 3.0
# A way is given up where it would lose even if so many bits more took its whole error away, and
# the best one had to pay so many to end.
_MOST_SAVED, _BITS_TO_END = 12.0, 2.0
# Sites that are chosen at once, and numbers that their ways take.
_BATCH_SIZE, _BATCH_NUMBERS = 512, 1 << 22


@torch.no_grad()
def searched(
    tokens: CodedTokens, stakes: Stakes, tables: Tables, ways: int = USUAL_WAYS
) -> CodedTokens:
    """Choose the tokens of all sites anew, one after another.

    What is cheapest at each site, all others given, but for what it does to the bits of its
    neighbours. Bits are nearly those that they will be: what the image teaches the coder about its
    symbols while it goes on is taken as known from the beginning, which on small images makes
    them 5 % too few.

    Args:
        tokens: a first choice, which has the least length that is asked for.
        stakes: what errors and bits cost.
        tables: those that the tokens will be coded with.
        ways: how many ways each site follows, 1 or more.

    Returns:
        The tokens.

    References:
        Liu, Lu and Deng, "Improved residual vector quantization for high-dimensional approximate
        nearest neighbor search", 2015, https://arxiv.org/abs/1509.05195, which follows several ways
        by their errors alone
    """
    codes, lengths = tokens.codes.copy(), tokens.lengths.copy()
    turns = min(int(lengths.max()) + _MORE_TURNS, stakes.depth)
    if not turns:
        return tokens
    search = _Search(codes[..., :turns], lengths, stakes, tables, ways)
    for turn in range(turns):
        search.learn_from_image(turn)
    for phase in range(NUM_PHASES):
        search.choose(phase)
    codes[..., :turns], codes[..., turns:] = search.codes, PAD
    return CodedTokens(codes, search.lengths)


class _Ways(NamedTuple):
    """Ways that are followed at some sites: ``n`` sites, the best way first.

    Attributes:
        spent: what the bits so far cost; infinite where there is no such way.
        left: what is left of the vectors.
        sums: what the codes add up to, as the coder counts.
        path: the symbol of each turn.
    """

    spent: Float32[Tensor, "n b"]
    left: Float32[Tensor, "n b d"]
    sums: Int64[Tensor, "n b e"]
    path: Int32[Tensor, "n b t"]

    def of(self, sites: Bool[Tensor, " n"]) -> "_Ways":
        """Keep those of some sites."""
        return _Ways(*(part[sites] for part in self))


class _Ends(NamedTuple):
    """The cheapest way to stop that each site has seen.

    Attributes:
        cost: of its error and its bits.
        path: its symbols.
        length: its tokens.
    """

    cost: Float32[Tensor, " n"]
    path: Int32[Tensor, "n t"]
    length: Int64[Tensor, " n"]


class _Search:
    """Holds all sites' tokens while they are chosen anew.

    Args:
        codes: of the first choice.
        lengths: of the first choice.
        stakes: what errors and bits cost.
        tables: those that the tokens will be coded with.
        ways: see `searched`.
    """

    def __init__(
        self,
        codes: Int[np.ndarray, "h w t"],
        lengths: Int[np.ndarray, "h w"],
        stakes: Stakes,
        tables: Tables,
        ways: int,
    ) -> None:
        self.codes, self.lengths = codes.copy(), lengths.copy()
        self._stakes, self._ways = stakes, ways
        size = self._size = stakes.codebooks.shape[1]
        symbols = np.where(codes == CONTINUE, size, codes)
        self._hindsight = Hindsight(tables.codebook, tables.gains, symbols, lengths)
        self._adds = codes_to_add(tables.codebook)
        self._gains = tables.gains.astype(np.int64)
        self._shares = [
            share_at(lengths, turn) if stakes.may_stop_in(turn) else 0
            for turn in range(codes.shape[2])
        ]
        num_around = len(NEIGHBOURS) * (tables.codebook.shape[1] + NUM_FACTS)
        self._turns = [
            TurnCosts(
                tables.networks[turn],
                stakes.codebooks[turn],
                stakes.metric,
                stakes.keeps[turn],
                num_around,
            )
            for turn in range(codes.shape[2])
        ]

    def learn_from_image(self, turn: int) -> None:
        """Correct what symbols of a turn cost by how often they came and should have come.

        Args:
            turn: 0 or more.
        """
        tokens, stop = CodedTokens(self.codes, self.lengths), self._size + 1
        plane, active = plane_of_turn(tokens, turn, self._size)
        codes = np.where(self.codes == CONTINUE, self._size, self.codes)
        came = torch.from_numpy(np.bincount(plane[active], minlength=stop + 1))
        expected = torch.zeros(stop + 1)
        for batch in batches_of(active, turn):
            where = batch.rows, batch.columns
            heard = self._turns[turn].hear(self._hindsight.around(*where, turn))
            facts = self._hindsight.own(*where, turn)
            own = self._own_features(turn, batch.phase, facts, codes[where])
            chances = torch.exp(-self._turns[turn].nats(heard, own))
            expected += chances[:, : stop + 1].sum(dim=0)
        self._turns[turn].correct((came + _HEAD_START) / (expected + _HEAD_START))

    def choose(self, phase: int) -> None:
        """Choose the tokens of the sites that the coder visits in one pass.

        Args:
            phase: the pass, in the first turn.
        """
        rows, columns = self._hindsight.together(phase)
        at_once = min(max(_BATCH_NUMBERS // (self._ways * (self._size + 2)), 1), _BATCH_SIZE)
        for start in range(0, len(rows), at_once):
            part = slice(start, start + at_once)
            self._choose(rows[part], columns[part])

    def _choose(self, rows: Int[np.ndarray, " n"], columns: Int[np.ndarray, " n"]) -> None:
        num_sites, num_turns = len(rows), self.codes.shape[2]
        ways = _Ways(
            torch.zeros(num_sites, 1),
            as_floats(self._stakes.vectors[rows, columns]).unsqueeze(1),
            torch.zeros(num_sites, 1, self._adds.shape[1], dtype=torch.int64),
            torch.full((num_sites, 1, num_turns), self._size, dtype=torch.int32),
        )
        ends = _Ends(
            torch.full((num_sites,), torch.inf),
            torch.zeros(num_sites, num_turns, dtype=torch.int32),
            torch.zeros(num_sites, dtype=torch.int64),
        )
        prices = as_floats(self._stakes.prices[rows, columns])
        sites = torch.arange(num_sites)
        for turn in range(num_turns):
            where = rows[sites.numpy()], columns[sites.numpy()]
            ways = self._go_on(turn, where, prices[sites], ways, ends, sites)
            going = ways.spent[:, 0].isfinite()
            ways, sites = ways.of(going), sites[going]
            if not len(sites):
                break
        if num_turns == self._stakes.depth:
            costs = ways.spent + self._turns[-1].energy(ways.left)
            _end(ends, sites, costs, ways.path, num_turns)
        self._write(rows, columns, ends)

    def _go_on(
        self,
        turn: int,
        where: tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]],
        prices: Float32[Tensor, " n"],
        ways: _Ways,
        ends: _Ends,
        sites: Int64[Tensor, " n"],
    ) -> _Ways:
        """Follow all ways by one symbol and keep the best, but those that are hopeless."""
        model = self._turns[turn]
        row, way = ways.spent.isfinite().nonzero(as_tuple=True)
        heard = model.hear(self._hindsight.around(*where, turn))[row]
        phase = int(self._hindsight.phases(*where, turn)[0])
        sums, path = ways.sums[row, way].numpy(), ways.path[row, way].numpy()
        facts = facts_of(sums, np.zeros(len(sums), np.bool_), turn, len(self._gains))
        own = self._own_features(turn, phase, facts, path)
        left, spent, price = ways.left[row, way], ways.spent[row, way], prices[row].unsqueeze(1)
        bits = model.nats(heard, own).mul_(price / np.log(2)).add_(spent.unsqueeze(1))
        num_sites, num_ways = ways.spent.shape
        if self._stakes.may_stop_in(turn):
            stops = torch.full((num_sites, num_ways), torch.inf)
            stops[row, way] = bits[:, self._size + 1] + model.energy(left)
            _end(ends, sites, stops, ways.path, turn)
        # The best of each way, then the best of those.
        going_on = BITS_OF_GOING_ON if turn + 1 < self._stakes.depth else 0.0
        costs = model.errors(left).add_(bits)
        num_best = min(self._ways, self._size + 1)
        costs, symbols = costs.topk(num_best, largest=False, sorted=False)
        every = torch.full((num_sites, num_ways, num_best), torch.inf)
        every[row, way] = costs
        every = every.flatten(1)
        best, index = every.topk(min(self._ways, every.shape[1]), largest=False)
        each, parent = torch.arange(num_sites).unsqueeze(1), index // num_best
        # Where there is no such way, that of another site stands in and is lost.
        of_way = torch.zeros(num_sites, num_ways, dtype=torch.int64)
        of_way[row, way] = torch.arange(len(row))
        origin = of_way[each, parent]
        symbol = symbols[origin, index % num_best]
        spent = bits[origin, symbol]
        lost = best.isinf()
        if self._stakes.may_stop:
            bit = prices.unsqueeze(1)
            least = spent + (best - spent).clamp_max(_MOST_SAVED * bit) + going_on * bit
            lost |= least > best[:, :1] + (going_on + _BITS_TO_END) * bit
            lost |= least >= ends.cost[sites].unsqueeze(1)
        spent[lost] = torch.inf
        path = ways.path[each, parent]
        path[..., turn] = symbol.to(torch.int32)
        added = torch.from_numpy(self._adds[symbol.numpy()] * self._gains[turn])
        return _Ways(
            spent,
            ways.left[each, parent] - model.codes[symbol],
            ways.sums[each, parent] + added,
            path,
        )

    def _own_features(
        self,
        turn: int,
        phase: int,
        facts: Int16[np.ndarray, "m f"],
        path: Integer[np.ndarray, "m t"],
    ) -> Int16[np.ndarray, "m g"]:
        """Give the features that differ from way to way, with those that all sites share."""
        latest = np.full((len(path), LATEST), self._size)
        seen = min(turn, LATEST)
        latest[:, :seen] = path[:, turn - seen : turn][:, ::-1]
        nobody = np.zeros((len(path), 0), np.int16)
        return features_of(nobody, facts, self._adds[latest], self._shares[turn], phase)

    def _write(
        self, rows: Int[np.ndarray, " n"], columns: Int[np.ndarray, " n"], ends: _Ends
    ) -> None:
        symbols, lengths = ends.path.numpy().astype(np.int64), ends.length.numpy()
        codes = np.where(symbols == self._size, CONTINUE, symbols)
        codes[np.arange(codes.shape[1]) >= lengths[:, np.newaxis]] = PAD
        self.codes[rows, columns], self.lengths[rows, columns] = codes, lengths
        self._hindsight.replace(rows, columns, symbols, lengths)


def _end(
    ends: _Ends,
    sites: Int64[Tensor, " n"],
    costs: Float32[Tensor, "n b"],
    paths: Int32[Tensor, "n b t"],
    length: int,
) -> None:
    """Note where stopping now is cheaper than it ever was."""
    cost, way = costs.min(dim=1)
    cheaper = cost < ends.cost[sites]
    where = sites[cheaper]
    ends.cost[where], ends.length[where] = cost[cheaper], length
    ends.path[where] = paths[cheaper, way[cheaper]]
