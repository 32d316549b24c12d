"""The loop on a CPU with numba: one matrix product, then every turn from the Gram matrix.

    latents --centre--> product with all codes --> scores --turn--> code
                                                     ^  |
                                  row of the Gram matrix of that code

Blocks of rows stay in the cache through all their turns; rows that are done leave.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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
_ROWS_PER_THREAD = 64


def compiled_walk(
    latents: Float[Tensor, "n d"], sigma: Float[Tensor, ""], table: GramTable, limits: Limits
) -> Walk:
    """Run the residual loop on every vector. See `residual_walk`."""
    count, turns = len(latents), len(table.gains)
    latents = latents.contiguous()
    totals = torch.zeros_like(latents)
    codes = torch.full((count, turns), PAD)
    lengths = torch.zeros(count, dtype=torch.int64)
    norms = torch.empty(count, turns + 1, dtype=torch.float64)
    arrays = _Arrays(latents, sigma, table, limits, (totals, codes, lengths, norms))
    rows_per_block = _rows_per_block(table)
    with full_float32(), _threads() as threads:
        for start in range(0, count, rows_per_block):
            arrays.run(np.arange(start, min(start + rows_per_block, count)), threads)
    turn = torch.arange(turns + 1)
    norms = norms.gather(1, torch.minimum(turn, lengths.unsqueeze(1)))
    return Walk(codes, lengths, norms, norms[:, -1] <= limits.threshold)


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
    arrays = _Arrays(latents, sigma, table, limits, state)
    fresh = np.zeros(turns, bool)
    fresh[[first for first, _ in table.segments]] = True
    prepared = (
        *arrays.prepared,
        table.half_squares.numpy(),
        table.centred.T.contiguous().numpy(),
        table.centre.numpy(),
        fresh,
    )
    prices = torch.nn.functional.pad(costs.prices.float(), (0, width - len(costs.prices)))
    lowest, highest = float(costs.prices.min()), float(costs.prices.max())
    prepared_prices = (prices.numpy(), costs.dummy_price, lowest, highest - lowest)
    rows_per_block = _rows_per_block(table)
    with full_float32(), _threads() as threads:
        for first in range(0, count, rows_per_block):
            rows = np.arange(first, min(first + rows_per_block, count))
            arrays.score(rows, 0)

            def part(start: int, end: int, first: int = first) -> None:
                beam_rows(
                    first + start,
                    first + end,
                    first,
                    arrays.scores.numpy(),
                    arrays.reach,
                    arrays.level,
                    prepared,
                    (arrays.latents, arrays.sigma),
                    arrays.limits,
                    prepared_prices,
                    costs.rates.numpy(),
                    size,
                    (codes.numpy(), lengths.numpy(), norms.numpy()),
                )

            _share(part, len(rows), threads)
    return Walk(codes, lengths, norms, norms[:, -1] <= limits.threshold)


def _rows_per_block(table: GramTable) -> int:
    rows = max(_FEWEST_ROWS, _SCORES_PER_BLOCK // len(table.centred))
    return rows * torch.get_num_threads()


def _share(
    part: Callable[[int, int], None], count: int, threads: ThreadPoolExecutor | None
) -> None:
    """Do rows ``0..count-1`` in as many parts as there are threads."""
    parts = min(torch.get_num_threads(), count // _ROWS_PER_THREAD)
    if threads is None or parts <= 1:
        part(0, count)
        return
    edges = [count * index // parts for index in range(parts + 1)]
    list(threads.map(part, edges[:-1], edges[1:]))


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor | None]:
    """Give as many threads as torch uses; started per walk, so that a fork finds none."""
    count = torch.get_num_threads()
    if count == 1:
        yield None
        return
    with ThreadPoolExecutor(count) as pool:
        yield pool


class _Arrays:
    """The tensors of one walk as the kernels want them, and room for the scores of one block."""

    def __init__(
        self,
        latents: Tensor,
        sigma: Tensor,
        table: GramTable,
        limits: Limits,
        state: tuple[Tensor, ...],
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
            limits.dummies,
        )
        rows = min(_rows_per_block(table), len(latents))
        self.scores = torch.empty(rows, len(table.centred))
        self.centred = torch.empty(rows, latents.shape[1])
        self.reach, self.level = np.empty(rows), np.empty(rows)
        self.active = np.empty(rows, bool)

    def run(self, rows: npt.NDArray[Any], threads: ThreadPoolExecutor | None) -> None:
        """Walk some rows to their ends."""
        for first, last in self.table.segments:
            self.score(rows, first)
            self._turns(rows, first, last, threads)
            rows = rows[self.active[: len(rows)]]
            if len(rows) == 0:
                return

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

    def _turns(
        self, rows: npt.NDArray[Any], first: int, last: int, threads: ThreadPoolExecutor | None
    ) -> None:
        def part(start: int, end: int) -> None:
            greedy_turns(
                start,
                end,
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

        _share(part, len(rows), threads)
