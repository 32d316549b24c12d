"""Steer how many tokens an image gets, site by site."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["LengthBudget", "LengthBudgets", "require_lengths_to_choose"]

_STRENGTH = 6.0
_LEARNING = 2.5
_LIMIT = 8.0


class LengthBudget:
    """Raise or lower the odds of going on so that an image ends near a number of tokens.

    What the sites still to come may take is compared with what a site takes on average: the odds
    follow the difference, and remember it, so that a lasting one is made up for.

    Args:
        num_tokens: tokens to aim at.
        sites: sites of the image.

    Example:
        >>> budget = LengthBudget(num_tokens=100, sites=50)
        >>> budget.spend(8)
        >>> budget.eagerness < 0
        True
    """

    def __init__(self, num_tokens: int, sites: int) -> None:
        self._left = float(num_tokens)
        self._sites_left = sites
        self._mean = num_tokens / sites
        self._memory = 0.0
        self.eagerness = 0.0
        """What to add to the log-odds of going on."""

    def spend(self, length: int) -> None:
        """Count the tokens of the next site.

        Args:
            length: its number of tokens.
        """
        self._left -= length
        self._sites_left -= 1
        if self._sites_left == 0:
            return
        needed = max(self._left, 0.0) / self._sites_left
        wanting = math.log((needed + 0.05) / (self._mean + 0.05))
        self._memory += _LEARNING * (self._mean - length) / (self._mean + 1) / 4
        self._memory = min(max(self._memory, -_LIMIT), _LIMIT)
        total = self._memory + _STRENGTH * wanting
        self.eagerness = min(max(total, -_LIMIT), _LIMIT)


class LengthBudgets:
    """The budgets of a batch of images; they ask for nothing where no number of tokens is given.

    Args:
        num_tokens: tokens to aim at in every image; None: as many as come.
        batch: number of images.
        sites: sites of an image.
    """

    def __init__(self, num_tokens: int | None, batch: int, sites: int) -> None:
        count = 0 if num_tokens is None else batch
        self._budgets = [LengthBudget(num_tokens or 0, sites) for _ in range(count)]

    def __bool__(self) -> bool:
        return bool(self._budgets)

    def spend(self, lengths: Int[Tensor, "b n"]) -> None:
        """Count the tokens of the next sites of all images."""
        for row, spent in enumerate(lengths.tolist() if self._budgets else ()):
            self.spend_in(row, spent)

    def spend_in(self, row: int, lengths: list[int]) -> None:
        """Count the tokens of the next sites of one image."""
        for length in lengths:
            self._budgets[row].spend(length)

    def eagerness(self, rows: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Say what to add to the log-odds of going on, on the device of the rows.

        Args:
            rows: images; there is a budget.

        Returns:
            One number for each.
        """
        return torch.tensor([self._budgets[row].eagerness for row in rows.tolist()]).to(rows.device)


def require_lengths_to_choose(num_tokens: int | None, min_length: int, max_depth: int) -> None:
    """Refuse a budget where every site has the same number of tokens.

    Args:
        num_tokens: tokens to aim at; None: no budget.
        min_length: least length of a site.
        max_depth: largest length of a site.

    Raises:
        ValueError: there is a budget and nothing that could be chosen.
    """
    if num_tokens is not None and min_length == max_depth:
        raise ValueError(f"a budget of tokens says nothing where every site has {max_depth}")
