"""What the loop needs to know of what it trains: one model, or two that play against each other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float, UInt8
from torch import Generator, Tensor, nn

from loopyvq.training.optim import OptimConfig

__all__ = ["AdversarialTask", "Task", "Validation"]


class Validation(NamedTuple):
    """What a validation found.

    Attributes:
        score: larger is better; the best model is kept. None: no number can tell, as with a GAN;
            the latest is kept.
        values: measurements by name.
        panel: pictures to look at, if there are any.
        unit: of the score, for the progress bar.
    """

    score: float | None
    values: dict[str, float]
    panel: UInt8[Tensor, "3 H W"] | None
    unit: str = "dB"


@runtime_checkable
class Task(Protocol):
    """What the loop needs to know of what it trains."""

    model: nn.Module

    def loss(self, model: nn.Module, batch: Any, generator: Generator) -> Float[Tensor, ""]:
        """Give the loss of one pass over a batch of what the draws give, with gradient."""
        ...

    def networks(self) -> Sequence[nn.Module]:
        """Name the parts of the model that may be compiled."""
        ...

    def after_step(self) -> None:
        """Update what no optimizer updates."""
        ...

    def measure(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Measure the last pass: all values, and those for the progress bar."""
        ...

    def validate(self, model: nn.Module) -> Validation | None:
        """Judge a model on held-out images; None where there are none."""
        ...

    def save(self, path: Path, model: nn.Module, step: int) -> None:
        """Write a model."""
        ...


@runtime_checkable
class AdversarialTask(Task, Protocol):
    """A task whose model plays against another one, which has an optimizer of its own.

    Attributes:
        adversary: that model.
        adversary_optim: options of its optimizer.
        adversary_start: the first step in which it learns.
    """

    adversary: nn.Module
    adversary_optim: OptimConfig
    adversary_start: int

    def begin_step(self, step: int) -> None:
        """Learn how many steps are done, before every step."""
        ...

    def adversary_loss(self, adversary: nn.Module) -> Float[Tensor, ""]:
        """Give the adversary's loss on what `loss` has just made, with gradient."""
        ...
