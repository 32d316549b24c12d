import pytest
import torch

from loopyvq.models.prior.attention import KeyValueCache, Transformer, TransformerConfig


@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_step_is_what_the_blocks_compute(norm, batch):
    torch.manual_seed(0)
    config = TransformerConfig(width=32, layers=3, heads=4, norm=norm, rotary=True)
    transformer = Transformer(config).eval()
    for parameter in transformer.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    features = torch.randn(batch, 40, 32)
    slow, fast = (KeyValueCache(config, batch, 40) for _ in range(2))
    for part in features.split(1, dim=1):
        expected = transformer(part, slow)  # with gradients: block by block
        with torch.inference_mode():
            found = transformer(part, fast)
        assert torch.allclose(found, expected, atol=1e-5)
    assert torch.allclose(slow.memory, fast.memory, atol=1e-5)


def test_under_autocast_products_are_of_bfloat16():
    torch.manual_seed(0)
    config = TransformerConfig(width=32, layers=3, heads=4)
    transformer = Transformer(config).eval()
    features = torch.randn(2, 20, 32)
    cache = KeyValueCache(config, 2, 20)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = torch.cat([transformer(part, cache) for part in features.split(1, dim=1)], dim=1)
    assert found.dtype == cache.memory.dtype == torch.float32
    difference = (found - transformer(features)).abs().max()
    assert 1e-5 < difference < 0.1
