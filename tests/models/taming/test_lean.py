import pytest
import torch
from torch import nn
from torch.nn import functional as F

from loopyvq.models.taming.lean import double_and_convolve, norm_silu_conv


def parts(width: int = 32, out: int = 16) -> tuple[torch.Tensor, nn.GroupNorm, nn.Conv2d]:
    torch.manual_seed(0)
    norm, conv = nn.GroupNorm(8, width, eps=1e-6), nn.Conv2d(width, out, 3, padding=1)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return torch.randn(2, width, 5, 7), norm, conv


def gradients(result: torch.Tensor, *sources: torch.Tensor) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(1)
    return torch.autograd.grad(result, sources, torch.randn_like(result))


@pytest.mark.parametrize("bf16", [False, True])
def test_result_and_every_gradient_are_those_of_the_three_layers(bf16):
    features, norm, conv = parts()
    features.requires_grad_()
    sources = (features, *norm.parameters(), *conv.parameters())
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        plain = conv(F.silu(norm(features)))
        lean = norm_silu_conv(features, norm, conv)
    assert lean.dtype == plain.dtype
    assert torch.equal(lean, plain)
    tolerance = 3e-2 if bf16 else 1e-5
    pairs = zip(gradients(lean, *sources), gradients(plain, *sources), strict=True)
    for ours, theirs in pairs:
        assert ours.dtype == theirs.dtype
        assert torch.allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def test_only_the_features_are_kept():
    features, norm, conv = parts()
    features.requires_grad_()
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: (kept.append(tensor.numel()), tensor)[1], lambda tensor: tensor
    ):
        norm_silu_conv(features, norm, conv)
    assert sum(number >= features.numel() for number in kept) == 2  # and the convolution's weight


def test_without_gradient_nothing_is_kept():
    features, norm, conv = parts()
    with torch.no_grad():
        assert torch.equal(norm_silu_conv(features, norm, conv), conv(F.silu(norm(features))))


@pytest.mark.parametrize("shape", [(4, 6), (1, 1), (3, 2)])
def test_doubling_within_the_convolution_is_doubling_before_it(shape):
    torch.manual_seed(0)
    features = torch.randn(2, 5, *shape, dtype=torch.float64, requires_grad=True)
    conv = nn.Conv2d(5, 3, 3, padding=1, dtype=torch.float64)
    plain = conv(F.interpolate(features, scale_factor=2.0, mode="nearest"))
    lean = double_and_convolve(features, conv)
    assert torch.allclose(lean, plain, atol=1e-12)
    sources = (features, *conv.parameters())
    for ours, theirs in zip(gradients(lean, *sources), gradients(plain, *sources), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-12)
