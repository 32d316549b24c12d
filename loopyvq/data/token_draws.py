"""The endless stream of token sequences for training, a pure function of (seed, draw)."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.utils.data import Dataset

from loopyvq.data.token_batch import TokenBatch
from loopyvq.data.token_shards import TokenShards
from loopyvq.errors import DataError
from loopyvq.ops.seeding import generator_of

__all__ = ["TokenDraws", "is_held_out", "split_rows"]

_ORDER_STREAM = 3


class TokenDraws(Dataset[TokenBatch]):
    """Rows of shards, in a new random order every epoch.

    Draw ``i`` belongs to epoch ``i // len(rows)`` and is a function of ``seed`` and ``i`` alone.

    Args:
        shards: the tokens.
        rows: the ones to draw.
        seed: at least 0.
        num_draws: batch size times steps, at least 1.

    Raises:
        DataError: there are no rows.
        ValueError: a number is out of range.
    """

    def __init__(
        self, shards: TokenShards, rows: Int[Tensor, " n"], seed: int, num_draws: int
    ) -> None:
        if len(rows) == 0:
            raise DataError("there are no images to draw from: hold out fewer for validation")
        if seed < 0 or num_draws < 1:
            raise ValueError("seed must be 0 or more, num_draws at least 1")
        self.packed = shards.packed
        self.rows = rows
        self.seed = seed
        self.num_draws = num_draws
        self._epoch = -1
        self._order = rows

    def __len__(self) -> int:
        return self.num_draws

    def __getitem__(self, draw: int) -> TokenBatch:
        """Make one draw, as a batch of one image."""
        return self.__getitems__([draw])

    def __getitems__(self, draws: Sequence[int]) -> TokenBatch:
        """Make several draws at once, which a data loader asks for.

        Args:
            draws: each 0 to ``num_draws - 1``.

        Returns:
            A batch of them.

        Raises:
            IndexError: a draw is out of range.
        """
        return self.packed.select([self._row(draw) for draw in draws])

    @staticmethod
    def collate(batch: TokenBatch) -> TokenBatch:
        """Leave a batch as it is: it was drawn as one."""
        return batch

    def _row(self, draw: int) -> int:
        if not 0 <= draw < self.num_draws:
            raise IndexError(f"draw must be 0 to {self.num_draws - 1}, got {draw}")
        epoch, position = divmod(draw, len(self.rows))
        if epoch != self._epoch:
            self._order = self.rows[self._order_of(epoch)]
            self._epoch = epoch
        return int(self._order[position])

    def _order_of(self, epoch: int) -> Int[Tensor, " n"]:
        generator = generator_of(self.seed, _ORDER_STREAM, epoch)
        return torch.randperm(len(self.rows), generator=generator)


def split_rows(shards: TokenShards, share: float) -> tuple[Int[Tensor, " n"], Int[Tensor, " m"]]:
    """Divide rows into training and validation, see `is_held_out`.

    Args:
        shards: the tokens.
        share: of the images to hold out, within ``[0, 1)``.

    Returns:
        Rows to train on, and rows that are held out, without views other than the first.

    Raises:
        ValueError: the share is out of range.
    """
    numbers = shards.numbers
    held_out = is_held_out(numbers, share)
    first = torch.cat([torch.ones(1, dtype=torch.bool), numbers[1:] != numbers[:-1]])
    return (~held_out).nonzero().flatten(), (held_out & first).nonzero().flatten()


def is_held_out(numbers: Int[Tensor, " n"], share: float) -> Bool[Tensor, " n"]:
    """Tell which images are for validation, by a hash of their numbers alone.

    So all views of an image fall on one side, and no image ever changes it.

    Args:
        numbers: of the images within their set.
        share: of the images to hold out, within ``[0, 1)``.

    Returns:
        True for those that are held out.

    Raises:
        ValueError: the share is out of range.

    References:
        The finaliser of SplitMix64: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number
        Generators", OOPSLA 2014, https://doi.org/10.1145/2660193.2660195

    Example:
        >>> float(is_held_out(torch.arange(10000), 0.05).float().mean())
        0.05...
    """
    if not 0 <= share < 1:
        raise ValueError(f"the share held out must be within [0, 1), got {share}")
    mixed = (numbers.numpy().astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    return torch.from_numpy((mixed >> np.uint64(11)) / 2.0**53 < share)
