"""Linear maps of few rows on a CPU: weights are laid out once in the order in which they are read.

oneDNN reads weights in blocks. PyTorch's linear map hands them over as they lie in memory, or gives
them to another library; for the few rows of one step of generation either takes about twice as
long (measured on a processor with AVX-512: `benchmarks/prior`). The operators that lay weights out
are the ones that `torch.compile` uses; where they are missing the usual linear map is taken.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

__all__ = ["LinearMap", "pack_linear"]

LinearMap = Callable[[Tensor], Tensor]
"""From ``n d`` to ``n d2``."""


def pack_linear(weight: Float[Tensor, "d2 d"], bias: Float[Tensor, " d2"] | None) -> LinearMap:
    """Prepare a linear map that is applied many times to a few rows, without gradients.

    Args:
        weight: later changes of it are not seen.
        bias: alike.

    Returns:
        The map; of bfloat16 rows where the weight is bfloat16.

    Example:
        >>> weight = torch.eye(3)[:2]
        >>> pack_linear(weight, None)(torch.tensor([[1.0, 2.0, 3.0]])).tolist()
        [[1.0, 2.0]]
    """
    weight = weight.detach()
    bias = None if bias is None else bias.detach()
    if not _can_pack(weight):
        return lambda rows: F.linear(rows, weight, bias)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, None)
    apply = torch.ops.mkldnn._linear_pointwise.default
    return lambda rows: apply(rows, packed, bias, "none", [], "")


def _can_pack(weight: Tensor) -> bool:
    if weight.device.type != "cpu" or not torch._C._has_mkldnn:
        return False
    if weight.dtype == torch.bfloat16:
        if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return False
    elif weight.dtype != torch.float32:
        return False
    return all(
        hasattr(torch.ops.mkldnn, name) for name in ("_reorder_linear_weight", "_linear_pointwise")
    )
