"""One further position, without gradients: the same arithmetic as a block's, in fewer calls."""

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from loopyvq.models.prior.cache import KeyValueCache
from loopyvq.models.prior.compiled_step import CompiledPlan, can_compile
from loopyvq.models.prior.rotary import Rotary, rotate
from loopyvq.ops.packed_linear import LinearMap, pack_linear
from loopyvq.ops.precision import no_autocast

if TYPE_CHECKING:
    from loopyvq.models.prior.attention import Transformer, TransformerConfig

__all__ = ["step"]


class _Layer(NamedTuple):
    """One block; to look its parts up in the modules costs more than small products do."""

    norm_attention: LinearMap
    qkv: LinearMap
    out: LinearMap
    norm_mlp: LinearMap
    grow: LinearMap
    shrink: LinearMap


def step(
    transformer: "Transformer", features: Tensor, rotary: Rotary | None, cache: KeyValueCache
) -> Tensor:
    """Read one position per sequence.

    Args:
        transformer: whose weights to use; a cache keeps those of its first step until it is reset.
            Where autocast is on, products are of bfloat16 and all else stays as it is.
        features: ``b 1 d``.
        rotary: the angles of the position.
        cache: what was read before, with room for one more.

    Returns:
        Normalized features, ``b 1 d``.
    """
    if cache.plan is None and can_compile(transformer, features):
        cache.plan = CompiledPlan(transformer, cache)
    if isinstance(cache.plan, CompiledPlan):
        return cache.plan.step(features, rotary, cache)
    if cache.plan is None:
        cache.plan = [_layer(block) for block in transformer.blocks], _norm(transformer.norm)
    with no_autocast(features.device):
        return _step(transformer.config, features, rotary, cache)


def _step(
    config: "TransformerConfig", features: Tensor, rotary: Rotary | None, cache: KeyValueCache
) -> Tensor:
    layers: list[_Layer]
    last: LinearMap
    layers, last = cache.plan
    batch, heads, head_width = len(features), config.heads, config.width // config.heads
    at, end = cache.length, cache.length + 1
    attend = F.scaled_dot_product_attention
    flat = features.reshape(batch, config.width)
    for (norm_attention, qkv, out, norm_mlp, grow, shrink), memory in zip(
        layers, cache.layers, strict=True
    ):
        split = qkv(norm_attention(flat)).view(batch, 3, heads, head_width)
        if rotary is not None:
            split = torch.cat([rotate(split[:, :2], rotary), split[:, 2:]], dim=1)
        query = split.narrow(1, 0, 1)
        memory.select(3, at).copy_(split.narrow(1, 1, 2))
        keys, values = memory.narrow(3, 0, end).unbind(1)
        attended = attend(query.transpose(1, 2), keys, values)
        flat = flat + out(attended.reshape(batch, config.width))
        flat = flat + shrink(F.gelu(grow(norm_mlp(flat))))
    cache.length = end
    return last(flat).unsqueeze(1)


def _layer(block: Any) -> _Layer:
    return _Layer(
        _norm(block.norm_attention),
        _linear(block.attention.qkv),
        _linear(block.attention.out),
        _norm(block.norm_mlp),
        _linear(block.mlp[0]),
        _linear(block.mlp[2]),
    )


def _linear(module: Any) -> LinearMap:
    kind = module.weight.device.type
    if not torch.is_autocast_enabled(kind):
        return pack_linear(module.weight, module.bias)
    narrow, wide = torch.get_autocast_dtype(kind), module.weight.dtype
    apply = pack_linear(module.weight.to(narrow), module.bias.to(narrow))
    return lambda rows: apply(rows.to(narrow)).to(wide)


def _norm(module: Any) -> LinearMap:
    weight, shape, eps = module.weight.detach(), module.weight.shape, module.eps
    if isinstance(module, nn.RMSNorm):
        return lambda flat: F.rms_norm(flat, shape, weight, eps)
    bias = module.bias.detach()
    return lambda flat: F.layer_norm(flat, shape, weight, bias, eps)
