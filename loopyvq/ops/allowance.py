"""Building a model of a file no larger than the file is: a config is believed as far as it fits."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from loopyvq.errors import ConfigError

__all__ = ["Allowance"]

# Tables that no file holds and numbers on the way are many times the weights of a tiny model.
_ENTRIES_PER_ENTRY, _MORE_ENTRIES = 16, 2**18
_CALLS_PER_TENSOR, _MORE_CALLS = 100, 20_000
_MAKERS = {
    torch.arange, torch.empty, torch.full, torch.ones, torch.rand, torch.randn, torch.zeros
}  # fmt: skip


class Allowance(TorchFunctionMode):
    """Refuse, within its context, to make far more or far larger tensors than there are.

    A wrong size is refused before it takes memory, a wrong number of layers before it takes time.
    Names and shapes are compared afterwards, exactly.

    Args:
        tensors: what the file holds.
        any_size: whether tensors may be as large as they like, as those of no memory may.

    Raises:
        ConfigError: within the context; more is asked for.

    Example:
        >>> with Allowance({"weight": torch.zeros(4, 3)}):
        ...     torch.nn.Linear(10**9, 10**9)
        Traceback (most recent call last):
        loopyvq.errors.ConfigError: it asks for far more than the file holds
    """

    def __init__(self, tensors: Mapping[str, Tensor], *, any_size: bool = False) -> None:
        super().__init__()
        held = sum(tensor.numel() for tensor in tensors.values())
        self.entries = math.inf if any_size else _ENTRIES_PER_ENTRY * held + _MORE_ENTRIES
        self.calls = _CALLS_PER_TENSOR * len(tensors) + _MORE_CALLS

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Count a call, and what it asks for, before it is made."""
        self.calls -= 1
        # Nowhere else may it fail: putting back whether there are gradients is a call as well.
        if func in _MAKERS:
            self.entries -= _asked(func, args, kwargs or {})
            if min(self.calls, self.entries) < 0:
                raise ConfigError("it asks for far more than the file holds")
        return func(*args, **(kwargs or {}))


def _asked(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Give how many entries a new tensor would have."""
    if func is torch.arange:
        return int(max(args, default=kwargs.get("end", 0)))
    shape = args or kwargs["size"]
    return math.prod(shape[0] if isinstance(shape[0], Sequence) else shape)
