"""The parts of a loop that depend on data, as operators that a compiled graph calls as they are.

`torch.compile` cannot trace a loop whose shapes depend on its data; it can call one. Every loop has
a number, by which an operator finds it again. Its tensors are among an operator's arguments, and
those that arrive are lent to the loop while it works: the compiler may have made copies. Outside
of a graph, and in an export, which must stand alone, the functions here call the loop's methods.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from loopyvq.quantize.residual import Limits, Walk

if TYPE_CHECKING:
    from loopyvq.quantize.learning import LearningLoop

__all__ = ["Settled", "learn", "number_of", "settle", "start", "walk"]

_LOOPS: "WeakValueDictionary[int, LearningLoop]" = WeakValueDictionary()


class Settled(NamedTuple):
    """A walk and all that it came from, safe from the update that follows.

    Attributes:
        walk: the walk.
        z_q: ``n d``; what its codes decode to.
        sigma: the unit at the time.
        codes: ``k d``; the codes at the time.
    """

    walk: Walk
    z_q: Tensor
    sigma: Tensor
    codes: Tensor


def number_of(loop: "LearningLoop") -> int:
    """Give a new loop its number."""
    number = max(_LOOPS, default=0) + 1
    _LOOPS[number] = loop
    return number


@torch.no_grad()
def walk(loop: "LearningLoop", latents: Tensor, limits: Limits) -> Walk:
    """Run the loop's walk."""
    return settle(loop, latents, limits).walk if _is_traced() else loop.walk(latents, limits)


@torch.no_grad()
def settle(loop: "LearningLoop", latents: Tensor, limits: Limits) -> Settled:
    """Run the loop's walk and decode it."""
    if not _is_traced():
        return loop.settle(latents, limits)
    found = _settle(loop.number, latents, limits.threshold, limits.depth, _state(loop))
    return Settled(Walk(*found[:4]), *found[4:])


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
    return [tensor for _, _, tensor in _places(loop)]


def _places(loop: "LearningLoop") -> list[tuple[dict[str, Any], str, Tensor]]:
    """List where every tensor of a loop is kept."""
    return [
        (place, name, tensor)
        for module in loop.modules()
        for place in cast("tuple[dict[str, Any], ...]", (module._buffers, module._parameters))
        for name, tensor in place.items()
        if tensor is not None
    ]


@contextmanager
def _lent(number: int, state: list[Tensor]) -> "Iterator[LearningLoop]":
    """Let a loop work on these tensors in place of its own."""
    loop = _LOOPS[number]
    places = _places(loop)
    for (place, name, _), tensor in zip(places, state, strict=True):
        place[name] = tensor
    try:
        yield loop
    finally:
        for place, name, own in places:
            place[name] = own


@torch.library.custom_op("loopyvq::settle", mutates_args=())
def _settle(
    number: int, latents: Tensor, threshold: Tensor, depth: Tensor, state: list[Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    with _lent(number, state) as loop:
        walk, *rest = loop.settle(latents, Limits(threshold, depth))
    return (*walk, *rest)


@_settle.register_fake
def _(
    number: int, latents: Tensor, threshold: Tensor, depth: Tensor, state: list[Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    count, loop = latents.shape[0], _LOOPS[number]
    return (
        latents.new_empty(count, loop.max_depth, dtype=torch.int64),
        latents.new_empty(count, dtype=torch.int64),
        latents.new_empty(count, loop.max_depth + 1, dtype=torch.float64),
        latents.new_empty(count, dtype=torch.bool),
        torch.empty_like(latents),
        latents.new_empty((), dtype=torch.float32),
        latents.new_empty(loop.codebook_size, latents.shape[1], dtype=torch.float32),
    )


@torch.library.custom_op("loopyvq::start", mutates_args={"state"})
def _start(number: int, latents: Tensor, valid: Tensor, state: list[Tensor]) -> None:
    with _lent(number, state) as loop:
        loop.start(latents, valid)


@torch.library.custom_op("loopyvq::learn", mutates_args={"state"})
def _learn(number: int, latents: Tensor, valid: Tensor, codes: Tensor, state: list[Tensor]) -> None:
    with _lent(number, state) as loop:
        loop.learn(latents, valid, codes)
