"""Steer how many tokens an image gets, site by site."""

import math

__all__ = ["LengthBudget"]

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
