"""Which way the loop runs: the rules, all in one place.

- On a CPU with numba: the compiled kernel, with a Gram matrix where that pays for itself. Loading
  takes about a second, so it waits for as much work as the direct path does in half of one: a
  command for one image never loads it.
- On other devices, and where a graph is exported: the dense path.
- Else: the direct path.

`make bench-quantizer` times them against each other and against other libraries; the codes are the
same.
"""

import importlib
import sys
from types import ModuleType

import torch
from torch import Tensor

from loopyvq.ops.kernels import can_import_kernels

__all__ = ["compiled_path", "has_numba", "is_worth_loading", "prefers_compiled", "prefers_gram"]

_COMPILED = "loopyvq.quantize.residual.compiled"
# The largest Gram matrix that is made: beyond, its rows come from memory and lose to products.
_MOST_CODES = 4096
# Multiplications of the direct path in about half a second.
_WORK_BEFORE_LOADING = 6_000_000_000
_work = [0]


def prefers_compiled(latents: Tensor) -> bool:
    """Whether the compiled kernel is there and serves these vectors."""
    return latents.device.type == "cpu" and not torch.compiler.is_compiling() and has_numba()


def is_worth_loading(latents: Tensor, codes: Tensor, gains: Tensor) -> bool:
    """Whether the compiled kernel is loaded, or would have paid for its loading by now."""
    if torch.compiler.is_compiling() or _COMPILED in sys.modules:
        return True
    _work[0] += len(latents) * len(gains) * codes.numel()
    return _work[0] > _WORK_BEFORE_LOADING


def prefers_gram(latents: Tensor, codes: Tensor, gains: Tensor) -> bool:
    """Whether a Gram matrix of the codes pays for itself.

    It costs as much as searching for one vector per code, and saves that for every turn but the
    first.
    """
    size = len(codes)
    return size <= _MOST_CODES and len(latents) * (len(gains) - 1) > size


def compiled_path() -> ModuleType:
    """Import the compiled path, which compiles on first use."""
    return importlib.import_module(_COMPILED)


def has_numba() -> bool:
    """Whether the compiled kernel can be had; warns where numba is installed and does not work."""
    return can_import_kernels(_COMPILED)
