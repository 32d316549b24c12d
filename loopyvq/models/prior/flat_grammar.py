"""Which symbol may follow which, so that every sequence that keeps to it spells tokens.

A reader stands at a site, before a turn, in a phase:

    flat          -       a code, D or STOP
    dummy         0       the site is empty or ends with D: a code, D or STOP
                  1       a code that is not the last was read: a code or D
    run_length    0       a count
                  1       after a run, or of an empty site: a code or STOP
                  2       after a count of 0 within a site: a code

Turn and phase together are the reader's state; tables by state say what is legal.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from loopyvq.spelling import spell, vocabulary_size
from loopyvq.tokens import CONTINUE, PAD, Tokens

__all__ = ["FLAT_SPELLINGS", "Grammar", "Reading", "Sequences"]

FLAT_SPELLINGS = ("flat", "dummy", "run_length")
"""Spellings that finish a site before the next."""

_PHASES = 3


class Reading(NamedTuple):
    """Where readers of sequences stand; tensors of any one shape.

    Attributes:
        site: how many sites are behind it.
        turn: tokens of the site that are behind it.
        phase: see the module.
        step: symbols of the site that are behind it.
    """

    site: Int[Tensor, "..."]
    turn: Int[Tensor, "..."]
    phase: Int[Tensor, "..."]
    step: Int[Tensor, "..."]


class Sequences(NamedTuple):
    """Images spelled one after the other.

    Attributes:
        symbols: of all images.
        image: of every symbol.
        before: where a reader stands that has read all before the symbol.
    """

    symbols: Int[Tensor, " t"]
    image: Int[Tensor, " t"]
    before: Reading


class Grammar:
    """Rules of a spelling.

    Args:
        spelling: one of `FLAT_SPELLINGS`.
        codebook_size: number of codes.
        max_depth: largest length of a site.
        min_length: least length of a site.

    Attributes:
        size: number of symbols.
        most_steps: most symbols of a site.
        ends: which symbols end a site.
        turns: how many tokens each symbol stands for.
        tokens: which tokens they are; `PAD` for STOP.
        legal: by state, which symbols may follow.
        commits: by state, how many tokens more each symbol promises the site at least: those that
            it stands for, and those that must follow it.

    Example:
        >>> grammar = Grammar("flat", codebook_size=2, max_depth=1, min_length=0)
        >>> grammar.legal[0].tolist()  # before turn 0: two codes, D, STOP
        [True, True, True, True]
        >>> grammar.legal[1].tolist()  # before turn 1
        [False, False, False, True]
    """

    def __init__(self, spelling: str, codebook_size: int, max_depth: int, min_length: int) -> None:
        if spelling not in FLAT_SPELLINGS:
            raise ValueError(f"spelling must be one of {', '.join(FLAT_SPELLINGS)}: {spelling!r}")
        self.spelling, self.codebook_size, self.max_depth = spelling, codebook_size, max_depth
        self.size = vocabulary_size(spelling, codebook_size, max_depth)
        self.most_steps = max(2 * max_depth, 2) if spelling == "run_length" else max_depth + 1
        kinds = _Kinds.of(spelling, codebook_size, self.size)
        self.ends = (torch.arange(self.size) == codebook_size + 1) | (
            kinds.code if spelling != "flat" else torch.zeros(self.size, dtype=torch.bool)
        )
        self.turns = (kinds.code | kinds.more | kinds.dummy).long()
        self.turns[kinds.count] = torch.arange(int(kinds.count.sum()))
        self.tokens = torch.arange(self.size) - (codebook_size + 2) * kinds.more
        self.tokens[kinds.dummy | kinds.count] = CONTINUE
        self.tokens[codebook_size + 1] = PAD
        self._phases = torch.zeros(self.size, dtype=torch.int64)
        if spelling == "dummy":
            self._phases[kinds.more] = 1
        elif spelling == "run_length":
            self._phases[kinds.count] = 1
            self._phases[2 * codebook_size + 2] = 2  # a count of 0
        states = [_legal(kinds, spelling, phase, turn, min_length, max_depth)
                  for phase in range(_PHASES) for turn in range(max_depth + 1)]  # fmt: skip
        self.legal = torch.stack(states)
        promised = [
            _promised(kinds, self.turns, turn).clamp(min=min_length - turn).short()
            for turn in range(max_depth + 1)
        ]
        self.commits = torch.stack(promised).repeat(_PHASES, 1)

    def to(self, device: torch.device) -> "Grammar":
        """Move the tables to a device, in place.

        Args:
            device: where to.

        Returns:
            The grammar itself.
        """
        for name in ("ends", "turns", "tokens", "legal", "commits", "_phases"):
            setattr(self, name, getattr(self, name).to(device))
        return self

    def state(self, reading: Reading) -> Int[Tensor, "..."]:
        """Give the rows of `legal` and `commits` that hold for readers."""
        return reading.phase * (self.max_depth + 1) + reading.turn

    def start(self, batch: int) -> Reading:
        """Give readers at the start of sequences."""
        return Reading(*(torch.zeros(4, batch, dtype=torch.int64, device=self.ends.device)))

    def advance(self, reading: Reading, symbols: Int[Tensor, "..."]) -> Reading:
        """Move readers on.

        Args:
            reading: where they stand.
            symbols: legal ones.

        Returns:
            Where they stand after them.
        """
        ended = self.ends[symbols]
        stays = (~ended).long()
        turn = (reading.turn + self.turns[symbols]) * stays
        phase = self._phase_after(symbols, turn) * stays
        return Reading(reading.site + ended, turn, phase, (reading.step + 1) * stays)

    def spell(self, codes: Int[Tensor, "b n l"], lengths: Int[Tensor, "b n"]) -> Sequences:
        """Spell images.

        Args:
            codes: as in `Tokens`, sites in the order of the sequence.
            lengths: as in `Tokens`.

        Returns:
            The sequences.

        Raises:
            ValueError: the tokens are not valid.
        """
        symbols = spell(Tokens(codes, lengths), self.spelling, self.codebook_size)
        ends = self.ends[symbols]
        place = torch.arange(len(symbols), device=symbols.device)
        site = ends.cumsum(0) - ends.long()
        first = torch.cat([place[:1], place[:-1][ends[:-1]] + 1])[site]
        counted = self.turns[symbols].cumsum(0) - self.turns[symbols]
        turn, step = counted - counted[first], place - first
        previous = torch.cat([symbols[:1], symbols[:-1]])
        phase = self._phase_after(previous, turn) * (step > 0)
        sites = lengths.shape[1]
        return Sequences(symbols, site // sites, Reading(site % sites, turn, phase, step))

    def _phase_after(self, symbols: Tensor, turn: Tensor) -> Tensor:
        phase = self._phases[symbols]
        return torch.where((phase == 2) & (turn == 0), 1, phase)


class _Kinds(NamedTuple):
    """Which symbols are what; STOP is the one that is nothing of this."""

    code: Bool[Tensor, " v"]
    dummy: Bool[Tensor, " v"]
    more: Bool[Tensor, " v"]
    count: Bool[Tensor, " v"]

    @staticmethod
    def of(spelling: str, codebook_size: int, size: int) -> "_Kinds":
        symbol = torch.arange(size)
        more = (symbol >= codebook_size + 2) & (symbol < 2 * codebook_size + 2)
        count = symbol >= 2 * codebook_size + 2
        return _Kinds(symbol < codebook_size, symbol == codebook_size, more, count)


def _legal(
    kinds: _Kinds, spelling: str, phase: int, turn: int, min_length: int, max_depth: int
) -> Bool[Tensor, " v"]:
    """Say which symbols may follow in one state; in one that is never reached, anything."""
    stop = ~(kinds.code | kinds.dummy | kinds.more | kinds.count)
    room, enough = turn < max_depth, turn >= min_length
    if spelling == "flat":
        return torch.stack([kinds.code & room, kinds.dummy & room, stop & enough]).any(0)
    if spelling == "run_length" and phase == 0:
        run = kinds.count.cumsum(0) - 1
        return kinds.count.logical_and(turn + run <= max_depth)
    may_stop = phase == 0 if spelling == "dummy" else phase == 1
    last = kinds.code & (room and turn + 1 >= min_length)
    more = kinds.more & (turn + 1 < max_depth)
    dummy = kinds.dummy & (room and spelling == "dummy")
    return torch.stack([last, more, dummy, stop & (may_stop and enough)]).any(0)


def _promised(kinds: _Kinds, turns: Int[Tensor, " v"], turn: int) -> Int[Tensor, " v"]:
    """Count the tokens that a site has more at least, once a symbol is read."""
    run_of_none = kinds.count & (turns == 0) & (turn > 0)  # a code must follow
    return turns + (kinds.more | run_of_none)
