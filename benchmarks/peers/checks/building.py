"""How checks build an adapter."""

import copy
from typing import Any

import torch
from adapters.base import Adapter, Output
from data import DEPTH, SIZE, WIDTH, books, latents
from torch import Tensor


def build(adapter: type[Adapter], depth: int = DEPTH, seed: int = 0, **options: Any) -> Adapter:
    """Build one of the usual sizes."""
    torch.manual_seed(seed)
    return adapter(options.pop("size", SIZE), options.pop("width", WIDTH), depth, **options)


def known(adapter: type[Adapter], depth: int = DEPTH, **options: Any) -> Adapter:
    """Build one with the known codebooks, in training mode."""
    built = build(adapter, depth, **options)
    built.set_codebooks(books(built.depth))
    return built.train()


def started(adapter: type[Adapter], depth: int = DEPTH, **options: Any) -> Adapter:
    """Build one that was started from data where it can be, else with the known codebooks."""
    if "start" not in adapter.features:
        return known(adapter, depth, **options)
    built = build(adapter, depth, start=True, **options).train()
    for _ in range(built.depth):  # some start one turn per pass
        built(latents())
    return built


def learn(adapter: Adapter, z: Tensor, rate: float = 0.1) -> Output:
    """Make one training step: a pass and, where there are parameters, an optimizer step."""
    leaf = z.clone().requires_grad_()
    result = adapter(leaf)
    parameters = [parameter for parameter in adapter.parameters() if parameter.requires_grad]
    if result.loss.requires_grad:
        result.loss.backward()
    if parameters:
        torch.optim.SGD(parameters, lr=rate).step()
        adapter.zero_grad()
    return result


def state_of(module: torch.nn.Module) -> dict[str, Tensor]:
    """Copy the state dict."""
    return copy.deepcopy(dict(module.state_dict()))


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> list[str]:
    """Name the entries that differ."""
    return [
        key
        for key in before.keys() | after.keys()
        if key not in before or key not in after or not torch.equal(before[key], after[key])
    ]
