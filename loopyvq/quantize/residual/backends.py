"""Which way the loop runs: the rules, all in one place, and how they were measured.

- On a CPU with numba: the compiled kernel. `make bench-quantizer` compares it with the others.
- On other devices, and where a graph is traced: the dense path.
- Else: the direct path.
"""

import importlib
import importlib.util
from functools import cache
from types import ModuleType

import torch
from torch import Tensor

__all__ = ["compiled_path", "has_numba", "prefers_compiled", "prefers_gram"]

# The largest Gram matrix that is made: beyond, its rows come from memory and lose to products.
_MOST_CODES = 4096


def prefers_compiled(latents: Tensor) -> bool:
    """Whether the compiled kernel is there and serves these vectors."""
    return latents.device.type == "cpu" and not torch.compiler.is_compiling() and has_numba()


def prefers_gram(latents: Tensor, codes: Tensor, gains: Tensor) -> bool:
    """Whether a Gram matrix of the codes pays for itself.

    It costs as much as searching for one vector per code, and saves that for every turn but the
    first.
    """
    size = len(codes)
    return size <= _MOST_CODES and len(latents) * (len(gains) - 1) > size


@cache
def compiled_path() -> ModuleType:
    """Import the compiled path."""
    return importlib.import_module("loopyvq.quantize.residual.compiled")


@cache
def has_numba() -> bool:
    """Whether the compiled kernel can be had."""
    return importlib.util.find_spec("numba") is not None
