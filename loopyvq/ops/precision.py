"""Full float32 where a result is certified: no autocast, no TF32, no hidden bfloat16 products."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

__all__ = ["full_float32", "no_autocast"]


@contextmanager
def full_float32() -> Iterator[None]:
    """Multiply float32 matrices in float32, whatever the program allows elsewhere."""
    allowed = torch.get_float32_matmul_precision()
    if allowed == "highest":
        yield
        return
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(allowed)


def no_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Compute in the types that tensors have; an exported graph says that by itself."""
    if torch.compiler.is_exporting():
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
