import pytest
import torch

from loopyvq.models.blocks import (
    AttentionBlock,
    Downsample,
    ResidualBlock,
    Upsample,
    stack_blocks,
)


@pytest.mark.parametrize("block", [ResidualBlock(64), AttentionBlock(64), stack_blocks(64, 3)])
def test_refining_blocks_start_as_the_identity_and_can_leave_it(block):
    features = torch.randn(2, 64, 5, 7)
    assert torch.equal(block(features), features)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    assert block(features).shape == features.shape
    assert not torch.allclose(block(features), features)


def test_resampling_halves_and_doubles():
    features = torch.randn(2, 6, 4, 8)
    assert Downsample(6, 10)(features).shape == (2, 10, 2, 4)
    assert Upsample(6, 3)(features).shape == (2, 3, 8, 16)


def test_no_blocks_is_nothing():
    features = torch.randn(1, 4, 3, 3)
    assert torch.equal(stack_blocks(4, 0)(features), features)
