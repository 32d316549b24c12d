"""One further position, without gradients: the same arithmetic as a block's, in fewer calls."""

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from loopyvq.models.prior.cache import KeyValueCache
from loopyvq.models.prior.rotary import Rotary, rotate

if TYPE_CHECKING:
    from loopyvq.models.prior.attention import Transformer

__all__ = ["step"]


class _Layer(NamedTuple):
    """Weights of one block; looking them up in the modules costs more than small products do."""

    norm_attention: tuple[Tensor, Tensor | None]
    qkv: tuple[Tensor, Tensor]
    out: tuple[Tensor, Tensor]
    norm_mlp: tuple[Tensor, Tensor | None]
    grow: tuple[Tensor, Tensor]
    shrink: tuple[Tensor, Tensor]


def step(
    transformer: "Transformer", features: Tensor, rotary: Rotary | None, cache: KeyValueCache
) -> Tensor:
    """Read one position per sequence.

    Args:
        transformer: whose weights to use.
        features: ``b 1 d``.
        rotary: the angles of the position.
        cache: what was read before, with room for one more.

    Returns:
        Normalized features, ``b 1 d``.
    """
    if cache.plan is None:
        cache.plan = [_layer(block) for block in transformer.blocks]
    config = transformer.config
    batch, heads, head_width = len(features), config.heads, config.width // config.heads
    at, end = cache.length, cache.length + 1
    flat = features.reshape(batch, config.width)
    for layer, memory in zip(cache.plan, cache.layers, strict=True):
        split = F.linear(_normalize(flat, layer.norm_attention), *layer.qkv)
        split = split.view(batch, 3, heads, head_width)
        if rotary is not None:
            split = torch.cat([rotate(split[:, :2], rotary), split[:, 2:]], dim=1)
        memory[:, :, :, at] = split[:, 1:]
        seen = memory[:, :, :, :end]
        attended = F.scaled_dot_product_attention(split[:, 0].unsqueeze(2), seen[:, 0], seen[:, 1])
        flat = flat + F.linear(attended.reshape(batch, config.width), *layer.out)
        inner = F.gelu(F.linear(_normalize(flat, layer.norm_mlp), *layer.grow))
        flat = flat + F.linear(inner, *layer.shrink)
    cache.length = end
    normalized: Tensor = transformer.norm(flat).unsqueeze(1)
    return normalized


def _layer(block: Any) -> _Layer:
    def pair(module: nn.Module) -> tuple[Tensor, Any]:
        return module.weight.detach(), None if isinstance(module, nn.RMSNorm) else module.bias

    return _Layer(
        pair(block.norm_attention),
        pair(block.attention.qkv),
        pair(block.attention.out),
        pair(block.norm_mlp),
        pair(block.mlp[0]),
        pair(block.mlp[2]),
    )


def _normalize(flat: Tensor, weights: tuple[Tensor, Tensor | None]) -> Tensor:
    weight, bias = weights
    if bias is None:
        return F.rms_norm(flat, weight.shape, weight, 1e-6)
    return F.layer_norm(flat, weight.shape, weight, bias)
