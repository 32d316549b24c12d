"""The parts of a loop that depend on data, as operators that a compiled graph calls as they are.

`torch.compile` cannot trace a loop whose shapes depend on its data; it can call one. Every loop has
a number, by which an operator finds it again; the tensors that an operator reads or changes are
among its arguments, so that the compiler keeps the order. Outside of a graph, and in an export,
which must stand alone, the functions here call the loop's methods.
"""

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from loopyvq.quantize.residual import Limits, Walk

if TYPE_CHECKING:
    from loopyvq.quantize.learning import LearningLoop

__all__ = ["learn", "number_of", "start", "walk"]

_LOOPS: "WeakValueDictionary[int, LearningLoop]" = WeakValueDictionary()


def number_of(loop: "LearningLoop") -> int:
    """Give a new loop its number."""
    number = max(_LOOPS, default=0) + 1
    _LOOPS[number] = loop
    return number


@torch.no_grad()
def walk(loop: "LearningLoop", latents: Tensor, limits: Limits) -> Walk:
    """Run the loop's walk."""
    if not _is_traced():
        return loop.walk(latents, limits)
    state = [loop.codebook.weight, loop.gains(), loop.sigma]
    return Walk(*_walk(loop.number, latents, limits.threshold, limits.depth, state))


@torch.no_grad()
def start(loop: "LearningLoop", latents: Tensor, valid: Tensor) -> None:
    """Start the loop if it has not been."""
    if _is_traced():
        _start(loop.number, latents, valid, _state(loop))
    else:
        loop.start(latents, valid)


@torch.no_grad()
def learn(loop: "LearningLoop", latents: Tensor, valid: Tensor, codes: Tensor) -> None:
    """Let the loop learn from a pass."""
    if _is_traced():
        _learn(loop.number, latents, valid, codes, _state(loop))
    else:
        loop.learn(latents, valid, codes)


def _is_traced() -> bool:
    return torch.compiler.is_compiling() and not torch.compiler.is_exporting()


def _state(loop: "LearningLoop") -> list[Tensor]:
    return [*loop.buffers(), *loop.parameters()]


@torch.library.custom_op("loopyvq::walk", mutates_args=())
def _walk(
    number: int, latents: Tensor, threshold: Tensor, depth: Tensor, state: list[Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    found = _LOOPS[number].walk(latents, Limits(threshold, depth))
    return found.codes, found.lengths, found.norms, found.reached


@_walk.register_fake
def _(
    number: int, latents: Tensor, threshold: Tensor, depth: Tensor, state: list[Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    count, turns = latents.shape[0], _LOOPS[number].max_depth
    return (
        latents.new_empty(count, turns, dtype=torch.int64),
        latents.new_empty(count, dtype=torch.int64),
        latents.new_empty(count, turns + 1, dtype=torch.float64),
        latents.new_empty(count, dtype=torch.bool),
    )


@torch.library.custom_op("loopyvq::start", mutates_args={"state"})
def _start(number: int, latents: Tensor, valid: Tensor, state: list[Tensor]) -> None:
    _LOOPS[number].start(latents, valid)


@torch.library.custom_op("loopyvq::learn", mutates_args={"state"})
def _learn(
    number: int, latents: Tensor, valid: Tensor, codes: Tensor, state: list[Tensor]
) -> None:
    _LOOPS[number].learn(latents, valid, codes)
