import pytest
import torch

from loopyvq.models.prior.attention import Transformer, TransformerConfig
from loopyvq.models.prior.cache import KeyValueCache

SIZES = TransformerConfig(width=8, layers=2, heads=2)


@pytest.fixture
def transformer() -> Transformer:
    torch.manual_seed(0)
    return Transformer(SIZES).eval()


def test_rows_are_sequences_of_their_own(transformer):
    features = torch.randn(3, 5, 8)
    cache = KeyValueCache(SIZES, batch=3, capacity=5)
    chosen = torch.tensor([2, 0, 2, 1])
    with torch.no_grad():
        transformer(features[:, :3], cache)
        picked = cache.rows(chosen)
        assert picked.length == 3
        transformer(features[:, 3:4], cache)  # must not disturb the copy
        for at in (3, 4):
            last = transformer(features[chosen, at : at + 1], picked)
        assert torch.allclose(last, transformer(features[chosen])[:, -1:], atol=1e-6)
    assert (cache.length, picked.length) == (4, 5)


def test_after_a_reset_nothing_is_left_of_before(transformer):
    cache = KeyValueCache(SIZES, batch=2, capacity=4)
    features = torch.randn(2, 4, 8)
    with torch.no_grad():
        transformer(torch.randn(2, 4, 8), cache)
        cache.reset()
        parts = [transformer(part, cache) for part in features.split(1, dim=1)]
        assert torch.allclose(torch.cat(parts, dim=1), transformer(features), atol=1e-6)


def test_a_full_cache_says_so(transformer):
    cache = KeyValueCache(SIZES, batch=1, capacity=3)
    assert cache.capacity == 3
    transformer(torch.randn(1, 2, 8), cache)
    with pytest.raises(ValueError, match="at most 3 positions, got 4"):
        transformer(torch.randn(1, 2, 8), cache)
