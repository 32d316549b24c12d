import pytest
import torch

from loopyvq.models.prior import compiled_step, step
from loopyvq.models.prior.attention import KeyValueCache, Transformer, TransformerConfig
from loopyvq.models.prior.compiled_step import can_compile

pytest.importorskip("numba", reason="compiled steps need numba: pip install 'loopyvq[fast]'")


def transformer_of(config: TransformerConfig) -> Transformer:
    torch.manual_seed(0)
    transformer = Transformer(config).eval()
    for parameter in transformer.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return transformer


@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("rotary", [True, False])
@pytest.mark.parametrize("batch", [1, 2])
def test_compiled_steps_are_the_others(norm, rotary, batch, monkeypatch):
    config = TransformerConfig(width=24, layers=2, heads=3, norm=norm, rotary=rotary, mlp_ratio=1.5)
    transformer, features = transformer_of(config), torch.randn(batch, 20, 24)
    caches = [KeyValueCache(config, batch, 20) for _ in range(2)]
    found = []
    for cache, compiled in zip(caches, (True, False), strict=True):
        monkeypatch.setattr(step, "can_compile", lambda *_, answer=compiled: answer)
        with torch.inference_mode():
            parts = [transformer(part, cache) for part in features.split([5] + 15 * [1], dim=1)]
        found.append(torch.cat(parts, dim=1))
    assert torch.allclose(*found, atol=1e-5)
    assert torch.allclose(caches[0].memory, caches[1].memory, atol=1e-5)


def test_a_cache_may_change_from_one_to_the_other(monkeypatch):
    config = TransformerConfig(width=16, layers=2, heads=2)
    transformer, features = transformer_of(config), torch.randn(3, 8, 16)
    cache = KeyValueCache(config, 3, 8)
    monkeypatch.setattr(step, "can_compile", lambda _, rows: len(rows) < 3)
    with torch.inference_mode():
        for part in features[:, :4].split(1, dim=1):
            transformer(part, cache)
        cache = cache.rows(torch.tensor([2, 0]))
        for part in features[[2, 0], 4:].split(1, dim=1):
            last = transformer(part, cache)
    assert torch.allclose(last, transformer(features)[[2, 0], -1:], atol=1e-5)


def test_it_is_taken_where_it_pays(monkeypatch):
    transformer = transformer_of(TransformerConfig(width=16, layers=1, heads=2))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    few, many = torch.zeros(1, 1, 16), torch.zeros(129, 1, 16)
    assert can_compile(transformer, few)
    assert not can_compile(transformer, many)
    assert not can_compile(transformer, few.double())
    with torch.autocast("cpu", torch.bfloat16):
        assert not can_compile(transformer, few)
    monkeypatch.setattr(compiled_step, "can_import_kernels", lambda _: False)
    assert not can_compile(transformer, few)
    monkeypatch.setattr(compiled_step, "can_import_kernels", lambda _: True)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    assert not can_compile(transformer, few)
