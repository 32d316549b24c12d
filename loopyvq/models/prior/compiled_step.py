"""One further position on a CPU with numba: a call per block, weights where they are."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from loopyvq.models.prior.cache import KeyValueCache
from loopyvq.models.prior.rotary import Rotary
from loopyvq.ops.kernels import can_import_kernels

if TYPE_CHECKING:
    from loopyvq.models.prior.attention import Transformer

__all__ = ["CompiledPlan", "can_compile"]

# One sequence waits for the memory, small ones for the calls; more, or with threads to share the
# work, are faster by matrix products.
_MOST_FEATURES = 2048
_MOST_THREADS = 2


def can_compile(transformer: "Transformer", features: Tensor) -> bool:
    """Tell whether compiled steps are possible and faster.

    Args:
        transformer: whose blocks to run.
        features: ``b 1 d``.

    Returns:
        Whether numba works, and there are so few sequences and threads that it pays.
    """
    return (
        features.device.type == "cpu"
        and features.dtype == torch.float32 == transformer.norm.weight.dtype
        and not torch.is_autocast_enabled("cpu")
        and (len(features) == 1 or features.numel() <= _MOST_FEATURES)
        and torch.get_num_threads() <= _MOST_THREADS
        and can_import_kernels("loopyvq.models.prior.step_kernels")
    )


class CompiledPlan:
    """Weights of all blocks as arrays that share their memory.

    Args:
        transformer: whose they are.
        cache: what was read before, and will be.
    """

    def __init__(self, transformer: "Transformer", cache: KeyValueCache) -> None:
        from loopyvq.models.prior import step_kernels  # imports numba, which takes a while

        self._kernels: Any = step_kernels
        self._memory = [layer.numpy() for layer in cache.layers]
        self._blocks = []
        for block in transformer.blocks:
            module: Any = block
            norms = (*_arrays(module.norm_attention), *_arrays(module.norm_mlp))
            linears = (module.attention.qkv, module.attention.out, module.mlp[0], module.mlp[2])
            self._blocks.append((norms, sum((_arrays(linear) for linear in linears), ())))
        last: Any = transformer.norm
        self._last, self._eps = _arrays(last), last.eps
        self._centred = isinstance(last, nn.LayerNorm)
        self._none = np.zeros((2, 1), np.float32)

    def step(self, features: Tensor, rotary: Rotary | None, cache: KeyValueCache) -> Tensor:
        """Read one position per sequence.

        Args:
            features: ``b 1 d``.
            rotary: the angles of the position.
            cache: the one that the plan was made for.

        Returns:
            Normalized features, ``b 1 d``.
        """
        rows = features[:, 0].numpy().copy()
        at, eps = cache.length, self._eps
        turns = self._none if rotary is None else torch.cat(rotary).numpy()
        for memory, (norms, linears) in zip(self._memory, self._blocks, strict=True):
            self._kernels.block(
                rows, memory, at, turns, rotary is not None, norms, linears, eps, self._centred
            )
        cache.length = at + 1
        seen = np.empty_like(rows)
        self._kernels.normalize(rows, *self._last, eps, self._centred, seen)
        return torch.from_numpy(seen).unsqueeze(1)


def _arrays(module: Any) -> tuple[Any, ...]:
    weight = module.weight.detach().contiguous()
    bias = getattr(module, "bias", None)
    bias = torch.zeros(len(weight)) if bias is None else bias.detach().contiguous()
    return weight.numpy(), bias.numpy()
