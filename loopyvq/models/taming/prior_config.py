"""What a sequence of taming's second stage is made of."""

from dataclasses import dataclass, field
from typing import Literal

from loopyvq.config import require_numbers
from loopyvq.models.prior.flat_prior import FlatPriorConfig

__all__ = ["TamingPriorConfig"]


@dataclass(frozen=True)
class TamingPriorConfig:
    """What a sequence is made of.

    Attributes:
        condition: what stands before the codes: ``none``: one fixed symbol; ``class``: the number
            of a class; ``coordinates``: the place of every site in a larger image; ``tokenizer``:
            the codes that another tokenizer gives; ``first_stage``: those of the same tokenizer;
            ``tokens``: ready symbols.
        start_symbol: the fixed symbol (none).
        condition_codes: number of classes (class) or of places (coordinates); 0 where unknown.
        condition_downsampling: pixels per place along each side (coordinates).
        permuted_sites: sites of an image whose order is permuted; 0 keeps the order of reading.
        prior: the transformer.
    """

    condition: Literal["none", "class", "coordinates", "tokenizer", "first_stage", "tokens"] = (
        "none"
    )
    start_symbol: int = 0
    condition_codes: int = 0
    condition_downsampling: int = 16
    permuted_sites: int = 0
    prior: FlatPriorConfig = field(default_factory=FlatPriorConfig)

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_numbers(self, "0 or more", "start_symbol", "condition_codes", "permuted_sites")
        require_numbers(self, "at least 1", "condition_downsampling")
