"""The checks, grouped as in the acceptance list; importing a group enters its lines."""

from lines import LINES, in_order

from checks import deployment, distributed, gradient, search, state, tokens

__all__ = [
    "LINES",
    "deployment",
    "distributed",
    "gradient",
    "in_order",
    "search",
    "state",
    "tokens",
]
