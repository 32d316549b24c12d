"""The small protocol behind which all libraries look alike."""

import copy
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from typing import ClassVar, NamedTuple

from torch import Tensor, nn


def features(words: str) -> frozenset[str]:
    """Read a set of features from words."""
    return frozenset(words.split())


class Output(NamedTuple):
    """What a forward pass gives: ``n d``, ``n l``, a scalar, and ``n`` where it is reported."""

    z_q: Tensor
    codes: Tensor
    loss: Tensor
    norm: Tensor | None = None


class Adapter(nn.Module):
    """A library's quantizer over rows ``n d``; built as its documentation recommends.

    Args:
        size: number of codes.
        width: their width.
        depth: number of turns.
        learning: ``"averages"`` or ``"gradient"``; by default the library's own way.
        start: whether the first batch sets the codebook.
        revive: whether dead codes are brought back.
        decay: of the averages; by default the library's.
        shared: whether all turns share one codebook.
        fixed_depth: whether every site must get every turn.
        prefixes: whether fewer turns must decode as well.
    """

    label: ClassVar[str]
    distribution: ClassVar[str]
    features: ClassVar[frozenset[str]]
    metric: ClassVar[str] = "euclidean"

    def __init__(
        self,
        size: int,
        width: int,
        depth: int,
        *,
        learning: str | None = None,
        start: bool = False,
        revive: bool = False,
        decay: float | None = None,
        shared: bool = False,
        fixed_depth: bool = False,
        prefixes: bool = False,
    ) -> None:
        super().__init__()
        self.size, self.width = size, width
        self.depth = depth if "deep" in self.features else 1
        self.learning = learning or ("averages" if "averages" in self.features else "gradient")
        self.start, self.revive, self.decay = start, revive, decay
        self.shared, self.fixed_depth, self.prefixes = shared, fixed_depth, prefixes
        self.build()

    @classmethod
    def version(cls) -> str:
        """The version that is installed."""
        return version(cls.distribution)

    def build(self) -> None:
        """Build the library's module."""
        raise NotImplementedError

    def forward(
        self, z: Tensor, mask: Tensor | None = None, turns: int | Tensor | None = None
    ) -> Output:
        """Quantize rows; in training mode also learn."""
        raise NotImplementedError

    def encode(self, z: Tensor) -> Tensor:
        """Give the codes ``n l``."""
        return self.forward(z).codes

    def decode(self, codes: Tensor) -> Tensor:
        """Give the rows that codes ``n l`` stand for."""
        raise NotImplementedError

    def codebooks(self) -> Tensor:
        """Copy what each turn adds: ``l k d``."""
        raise NotImplementedError

    def set_codebooks(self, books: Tensor) -> None:
        """Set the codes of every turn as a user would: ``l k d``, each half of the one before."""
        raise NotImplementedError

    def codebook_parameters(self) -> list[nn.Parameter]:
        """The parameters that hold codes, one per turn or one for all."""
        raise NotImplementedError

    def make_dead(self, code: int, place: Tensor) -> None:
        """Put a code of the first turn far away and make it look as if long unused."""
        raise NotImplementedError

    def twin(self) -> "Adapter":
        """Copy the whole quantizer."""
        return copy.deepcopy(self)

    def freeze(self) -> None:
        """Stop all learning."""
        self.requires_grad_(False)

    def one_step(self) -> AbstractContextManager[None]:
        """Say that all passes inside belong to one optimizer step, where that can be said."""
        return nullcontext()

    def accumulate(self, parts: list[Tensor]) -> None:
        """Run the passes of one optimizer step in the library's best way."""
        with self.one_step():
            for part in parts:
                self.forward(part)
