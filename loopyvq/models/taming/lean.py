"""Steps of taming's networks that keep less and multiply less, with the same results.

Between two convolutions plain autograd keeps what goes into the normalisation, what comes out of
it, and what comes out of the activation. Here the first is kept and the others are computed again
on the way back, which costs little beside the convolution.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

__all__ = ["double_and_convolve", "norm_silu_conv"]

_CACHED = 1 << 20  # numbers


def norm_silu_conv(
    features: Float[Tensor, "b c h w"], norm: nn.GroupNorm, conv: nn.Conv2d
) -> Float[Tensor, "b e h2 w2"]:
    """Normalise, activate, convolve; where gradients are wanted, keep the features alone.

    Args:
        features: what goes in.
        norm: the normalisation.
        conv: the convolution.

    Returns:
        What ``conv(silu(norm(features)))`` gives, to the last bit.
    """
    if not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return conv(F.silu(norm(features)))
    settings = (norm.num_groups, norm.eps, conv.stride, conv.padding)
    found: Tensor = _NormSiluConv.apply(  # type: ignore[no-untyped-call]
        features, norm.weight, norm.bias, conv.weight, conv.bias, settings
    )
    return found


def double_and_convolve(
    features: Float[Tensor, "b c h w"], conv: nn.Conv2d
) -> Float[Tensor, "b e h2 w2"]:
    """Repeat every site twice along both sides, then convolve.

    Four neighbours of a repeated site hold at most two different values along each side, so on a
    CPU the 3x3 convolution of the large map is a 4x4 transposed one of the small map: 4 products
    per output for 9, and the large map is never made. On GPUs it was not measured.

    Args:
        features: what goes in.
        conv: of 3x3 with a border of one zero.

    Returns:
        The convolved map, twice as large.
    """
    if features.device.type != "cpu":
        return conv(F.interpolate(features, scale_factor=2.0, mode="nearest"))
    kernel = conv.weight.flip(2, 3)
    kernel = F.pad(kernel, (1, 0)) + F.pad(kernel, (0, 1))
    kernel = F.pad(kernel, (0, 0, 1, 0)) + F.pad(kernel, (0, 0, 0, 1))
    return F.conv_transpose2d(features, kernel.transpose(0, 1), conv.bias, stride=2, padding=1)


class _NormSiluConv(torch.autograd.Function):
    """See `norm_silu_conv`; hooks and second derivatives are not for this."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        scale: Tensor,
        shift: Tensor,
        weight: Tensor,
        bias: Tensor,
        settings: tuple[Any, ...],
    ) -> Tensor:
        ctx.save_for_backward(features, scale, shift, weight)
        ctx.settings = settings
        groups, epsilon, stride, padding = settings
        active = F.silu(F.group_norm(features, groups, scale, shift, epsilon))
        return F.conv2d(active, weight, bias, stride, padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        features, scale, shift, weight = ctx.saved_tensors
        groups, epsilon, stride, padding = ctx.settings
        filters = weight.to(gradient.dtype)
        to_features = torch.empty_like(features)
        sums: list[Tensor] = []
        for part in _parts(features):
            norm = _Norm(features[part], scale, shift, groups, epsilon)
            active = F.silu(norm.normed).to(gradient.dtype)
            to_active, *others = torch.ops.aten.convolution_backward(
                gradient[part],
                active,
                filters,
                [len(filters)],
                stride,
                padding,
                (1, 1),
                False,
                (0, 0),
                1,
                (True, True, True),
            )
            to_normed = torch.ops.aten.silu_backward(to_active.to(norm.normed.dtype), norm.normed)
            to_features[part], *more = norm.backward(to_normed)
            found = [*more, *(item.to(weight.dtype) for item in others)]
            sums = [old + new for old, new in zip(sums, found, strict=True)] if sums else found
        return (to_features, *sums, None)


class _Norm:
    """A group normalisation in float32 and its gradient, which torch computes slowly on CPUs."""

    def __init__(
        self, features: Tensor, scale: Tensor, shift: Tensor, groups: int, epsilon: float
    ) -> None:
        self.features = features.to(torch.promote_types(features.dtype, torch.float32))
        self.scale, self.groups = scale, groups
        batch, channels, height, width = features.shape
        self.normed, self.mean, self.inverse = torch.native_group_norm(
            self.features, scale, shift, batch, channels, height * width, groups, epsilon
        )

    def backward(self, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the gradients at features, scale and shift; overwrites ``normed``."""
        batch, channels, height, width = self.features.shape
        width_of_group = channels // self.groups
        mean, inverse = (
            item.repeat_interleave(width_of_group, dim=1) for item in (self.mean, self.inverse)
        )
        plain = gradient.sum(dim=(2, 3))
        crossed = torch.mul(gradient, self.features, out=self.normed).sum(dim=(2, 3))
        of_group = [
            (self.scale * item)
            .view(batch, self.groups, width_of_group)
            .mean(dim=2)
            .repeat_interleave(width_of_group, dim=1)
            / (height * width)
            for item in (plain, crossed)
        ]
        slope = (of_group[0] * mean - of_group[1]) * inverse**3
        offset = -slope * mean - of_group[0] * inverse
        found = torch.addcmul(_spread(offset), self.features, _spread(slope))
        found.addcmul_(gradient, _spread(self.scale * inverse))
        return found, ((crossed - mean * plain) * inverse).sum(dim=0), plain.sum(dim=0)


def _parts(features: Tensor) -> list[slice]:
    """Divide a batch, on a CPU, so that what is computed of a part stays in its cache."""
    count = len(features)
    size = max(1, _CACHED * count // max(1, features.numel()))
    if features.device.type != "cpu":
        size = max(1, count)
    return [slice(first, first + size) for first in range(0, count, size)]


def _spread(values: Tensor) -> Tensor:
    return values[:, :, None, None]
