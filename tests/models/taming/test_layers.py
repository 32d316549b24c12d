import pytest
import torch
from torch.nn import functional as F

from loopyvq.models.taming.layers import (
    AttentionBlock,
    Downsample,
    Level,
    Middle,
    ResidualBlock,
    Upsample,
    group_norm,
)


def test_the_norm_is_over_32_groups_with_its_own_epsilon():
    norm = group_norm(64)
    assert (norm.num_groups, norm.eps) == (32, 1e-6)


def test_halving_pads_right_and_bottom_only():
    layer = Downsample(1)
    torch.nn.init.zeros_(layer.conv.weight)
    torch.nn.init.zeros_(layer.conv.bias)
    layer.conv.weight.data[0, 0, 0, 0] = 1.0  # the upper left of each window
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert torch.equal(layer(image), image[:, :, ::2, ::2])
    layer.conv.weight.data[0, 0] = torch.eye(3)[2].outer(torch.eye(3)[2])  # the lower right
    assert layer(image)[0, 0].tolist() == [[10.0, 0.0], [0.0, 0.0]]


def test_doubling_repeats_every_site():
    layer = Upsample(1)
    torch.nn.init.zeros_(layer.conv.weight)
    torch.nn.init.zeros_(layer.conv.bias)
    layer.conv.weight.data[0, 0, 1, 1] = 1.0
    image = torch.rand(1, 1, 2, 3)
    assert torch.equal(layer(image), image.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_attention_is_one_head_over_all_sites():
    torch.manual_seed(0)
    block = AttentionBlock(32)
    features = torch.randn(2, 32, 3, 5)
    normed = block.norm(features)
    query, key, value = (layer(normed).flatten(2) for layer in (block.q, block.k, block.v))
    weights = (query.transpose(1, 2) @ key * 32**-0.5).softmax(dim=2)
    attended = (value @ weights.transpose(1, 2)).reshape(2, 32, 3, 5)
    expected = features + block.proj_out(attended)
    assert torch.allclose(block(features), expected, atol=1e-5)


def test_the_skip_is_a_convolution_only_where_widths_differ():
    torch.manual_seed(0)
    features = torch.randn(1, 32, 4, 4)
    same, wider = ResidualBlock(32, 32, 0.0), ResidualBlock(32, 64, 0.0)
    assert "nin_shortcut.weight" not in same.state_dict()
    hidden = wider.conv1(F.silu(wider.norm1(features)))
    expected = wider.nin_shortcut(features) + wider.conv2(F.silu(wider.norm2(hidden)))
    assert torch.equal(wider(features), expected)


@pytest.mark.parametrize(("resample", "side"), [("half", 4), ("keep", 8), ("double", 16)])
def test_a_level_ends_in_its_resampling(resample, side):
    level = Level(32, 64, 2, True, 0.0, resample)
    assert level(torch.randn(1, 32, 8, 8)).shape == (1, 64, side, side)
    assert (len(level.block), len(level.attn)) == (2, 2)


def test_the_middle_keeps_the_shape():
    assert Middle(32, 0.1)(torch.randn(1, 32, 3, 4)).shape == (1, 32, 3, 4)
