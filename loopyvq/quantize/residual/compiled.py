"""The loop on a CPU with numba: one matrix product, then every turn from the Gram matrix.

    latents --centre--> product with all codes --> scores --turn--> code
                                                     ^  |
                                  row of the Gram matrix of that code

Blocks of rows stay in the cache through all their turns; rows that are done leave.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from loopyvq.ops.precision import full_float32
from loopyvq.ops.simd import BLOCK
from loopyvq.quantize.residual.beam import Costs
from loopyvq.quantize.residual.beam_kernels import beam_rows
from loopyvq.quantize.residual.kernels import centre_rows, greedy_turns
from loopyvq.quantize.residual.table import GramTable
from loopyvq.quantize.residual.walk import Limits, Walk
from loopyvq.tokens import PAD

__all__ = ["MULTIPLE", "compiled_beam", "compiled_walk"]

MULTIPLE = BLOCK
"""Tables must be padded to a multiple of this."""

# Scores per block and thread: a megabyte, which stays in a core's cache until the last turn.
_SCORES_PER_BLOCK = 1 << 18
_FEWEST_ROWS = 64
# Rows that are worth a thread of their own.
_ROWS_PER_THREAD = 256


def compiled_walk(
    latents: Float[Tensor, "n d"],
    sigma: Float[Tensor, ""],
    tables: GramTable | Sequence[GramTable],
    limits: Limits,
) -> Walk:
    """Run the residual loop on every vector. See `residual_walk`.

    Several tables have the codes of consecutive turns.
    """
    parts = [tables] if isinstance(tables, GramTable) else list(tables)
    count, turns = len(latents), len(parts[0].gains)
    latents = latents.contiguous()
    totals = torch.zeros_like(latents)
    codes = torch.full((count, turns), PAD)
    lengths = torch.zeros(count, dtype=torch.int64)
    norms = torch.empty(count, turns + 1, dtype=torch.float64)
    state = (totals, codes, lengths, norms)
    _share(partial(_walk_rows, latents, sigma, parts, limits, state), count)
    turn = torch.arange(turns + 1)
    norms = norms.gather(1, torch.minimum(turn, lengths.unsqueeze(1)))
    return Walk(codes, lengths, norms, norms[:, -1] <= limits.threshold)


def _walk_rows(
    latents: Float[Tensor, "n d"],
    sigma: Float[Tensor, ""],
    tables: Sequence[GramTable],
    limits: Limits,
    state: tuple[Tensor, ...],
    start: int,
    end: int,
) -> None:
    """Run the loop on the vectors ``start..end-1``, table after table."""
    blocks = [_Block(latents, sigma, table, limits, state, end - start) for table in tables]
    size = min(block.size for block in blocks)
    for first in range(start, end, size):
        rows = np.arange(first, min(first + size, end))
        for block in blocks:
            rows = block.walk(rows)


def compiled_beam(
    latents: Float[Tensor, "n d"],
    sigma: Float[Tensor, ""],
    table: GramTable,
    limits: Limits,
    size: int,
    costs: Costs,
) -> Walk:
    """Search with several paths per vector. See `dense_beam`; the table needs its Gram matrix."""
    count, turns, width = len(latents), len(table.gains), len(table.centred)
    latents = latents.contiguous()
    codes = torch.empty(count, turns, dtype=torch.int64)
    lengths = torch.empty(count, dtype=torch.int64)
    norms = torch.empty(count, turns + 1, dtype=torch.float64)
    state = (torch.zeros_like(latents), *(torch.empty(0) for _ in range(3)))
    fresh = np.zeros(turns, bool)
    fresh[[first for first, _ in table.segments]] = True
    more = (
        table.half_squares.numpy(),
        table.centred.T.contiguous().numpy(),
        table.centre.numpy(),
        fresh,
    )
    prices = torch.nn.functional.pad(costs.prices.float(), (0, width - len(costs.prices)))
    lowest, highest = float(costs.prices.min()), float(costs.prices.max())
    prepared_prices = (prices.numpy(), costs.dummy_price, lowest, highest - lowest)

    def search(start: int, end: int) -> None:
        block = _Block(latents, sigma, table, limits, state, end - start)
        for first in range(start, end, block.size):
            last = min(first + block.size, end)
            block.score(np.arange(first, last), 0)
            beam_rows(
                first,
                last,
                first,
                block.scores.numpy(),
                block.reach,
                block.level,
                (*block.prepared, *more),
                (block.latents, block.sigma),
                block.limits,
                prepared_prices,
                costs.rates.numpy(),
                size,
                (codes.numpy(), lengths.numpy(), norms.numpy()),
            )

    _share(search, count)
    return Walk(codes, lengths, norms, norms[:, -1] <= limits.threshold)


def _share(work: Callable[[int, int], None], count: int) -> None:
    """Do rows ``0..count-1`` in as many parts as torch has threads, each on one thread.

    The threads are started per call, so that a process that forks has none.
    """
    parts = min(torch.get_num_threads(), count // _ROWS_PER_THREAD)
    with full_float32():
        if parts <= 1:
            work(0, count)
            return
        edges = [count * index // parts for index in range(parts + 1)]
        with _one_thread_each(), ThreadPoolExecutor(parts) as pool:
            list(pool.map(work, edges[:-1], edges[1:]))


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Keep matrix products from starting threads of their own."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(count)


class _Block:
    """The tensors of one walk as the kernels want them, and room for some rows at a time."""

    def __init__(
        self,
        latents: Tensor,
        sigma: Tensor,
        table: GramTable,
        limits: Limits,
        state: tuple[Tensor, ...],
        most: int,
    ) -> None:
        self.table = table
        self.sigma = latents.numpy().dtype.type(float(sigma))
        self.latents = latents.numpy()
        self.state = tuple(part.numpy() for part in state)
        self.prepared = (
            table.codes.numpy(),
            table.gains.numpy(),
            table.gram.numpy(),
            table.drift.numpy(),
            table.bounds.numpy(),
        )
        self.limits = (
            limits.threshold.contiguous().numpy(),
            limits.depth.contiguous().numpy(),
            limits.min_length,
            1.0 - limits.min_gain,
            limits.first_dummy if limits.dummies else len(table.gains),
        )
        self.size = max(1, min(max(_FEWEST_ROWS, _SCORES_PER_BLOCK // len(table.centred)), most))
        self.scores = torch.empty(self.size, len(table.centred))
        self.centred = torch.empty(self.size, latents.shape[1])
        self.reach, self.level = np.empty(self.size), np.empty(self.size)
        self.active = np.empty(self.size, bool)

    def walk(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Walk some rows through the turns of the table; give those that are not done."""
        for first, last in self.table.segments:
            self.score(rows, first)
            greedy_turns(
                0,
                len(rows),
                rows,
                first,
                last,
                self.scores.numpy(),
                self.reach,
                self.level,
                self.prepared,
                (self.latents, self.sigma),
                self.limits,
                self.state,
                self.active,
            )
            rows = rows[self.active[: len(rows)]]
            if len(rows) == 0:
                break
        return rows

    def score(self, rows: npt.NDArray[Any], turn: int) -> None:
        """Compare what is left of some rows with all codes."""
        table, gain = self.table, float(self.table.gains[turn])
        centre_rows(
            rows,
            self.latents,
            self.state[0],
            self.sigma,
            gain * table.centre.numpy(),
            self.centred.numpy(),
            self.reach,
            self.level,
        )
        torch.addmm(
            table.half_squares,
            self.centred[: len(rows)],
            table.centred.T,
            beta=gain,
            alpha=-1.0,
            out=self.scores[: len(rows)],
        )
