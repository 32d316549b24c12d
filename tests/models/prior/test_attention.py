from dataclasses import replace

import pytest
import torch

from loopyvq.errors import ConfigError
from loopyvq.models.prior.attention import KeyValueCache, Transformer, TransformerConfig

SIZES = TransformerConfig(width=16, layers=2, heads=2, norm="layer")
VARIANTS = [
    SIZES,
    replace(SIZES, norm="rms"),
    replace(SIZES, rotary=True),
    replace(SIZES, norm="rms", rotary=True, mlp_ratio=1.5),
]


def transformer_of(config: TransformerConfig = SIZES) -> Transformer:
    torch.manual_seed(0)
    transformer = Transformer(config).eval()
    for parameter in transformer.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return transformer


def features_of(batch: int = 2, count: int = 9) -> torch.Tensor:
    return torch.randn(batch, count, 16, generator=torch.Generator().manual_seed(1))


def reference(transformer: Transformer, features: torch.Tensor, mask: torch.Tensor):
    """The textbook transformer, one head at a time."""
    for block in transformer.blocks:
        query, key, value = block.attention.qkv(block.norm_attention(features)).chunk(3, dim=2)
        heads = []
        for q, k, v in zip(query.chunk(2, 2), key.chunk(2, 2), value.chunk(2, 2), strict=True):
            scores = (q @ k.transpose(1, 2)) / q.shape[2] ** 0.5
            heads.append(scores.masked_fill(~mask, -torch.inf).softmax(dim=2) @ v)
        features = features + block.attention.out(torch.cat(heads, dim=2))
        features = features + block.mlp(block.norm_mlp(features))
    return transformer.norm(features)


@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("unmasked", [0, 1, 4, 12])
def test_it_is_the_textbook_transformer(norm, unmasked):
    transformer = transformer_of(replace(SIZES, norm=norm))
    mask = torch.ones(12, 12, dtype=torch.bool).tril()
    mask[:unmasked, :unmasked] = True
    expected = reference(transformer, features_of(), mask[:9, :9])
    found = transformer(features_of(), unmasked=unmasked)
    assert torch.allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("config", VARIANTS)
@pytest.mark.parametrize("unmasked", [0, 3])
@pytest.mark.parametrize("pieces", [(3, 1, 1, 4), (9,), (4, 5), (3,) + (1,) * 6])
@pytest.mark.parametrize("gradients", [True, False])
def test_a_cache_changes_nothing(config, unmasked, pieces, gradients):
    transformer, features = transformer_of(config), features_of()
    whole = transformer(features, unmasked=unmasked)
    cache = KeyValueCache(config, batch=2, capacity=10)
    with torch.set_grad_enabled(gradients):
        parts = [transformer(part, cache, unmasked=unmasked) for part in features.split(pieces, 1)]
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-5)
    assert cache.length == 9


def test_one_position_after_the_other_in_bfloat16():
    config = replace(SIZES, norm="rms", rotary=True)
    transformer, features = transformer_of(config).bfloat16(), features_of().bfloat16()
    cache = KeyValueCache(config, batch=2, capacity=9, dtype=torch.bfloat16)
    with torch.inference_mode():
        parts = [transformer(part, cache) for part in features.split(1, dim=1)]
        assert torch.allclose(torch.cat(parts, dim=1), transformer(features), atol=0.1)


@pytest.mark.parametrize("unmasked", [0, 2])
@pytest.mark.parametrize("segments", [[2, 3, 3, 1], [9], [3, 3, 3], [4, 1, 4]])
def test_segments_do_not_see_each_other(unmasked, segments):
    transformer, features = transformer_of(replace(SIZES, rotary=True)), features_of(1)
    alone = [transformer(part, unmasked=unmasked) for part in features.split(segments, dim=1)]
    together = transformer(features, unmasked=unmasked, segments=segments)
    assert torch.allclose(together, torch.cat(alone, dim=1), atol=1e-5)
    with pytest.raises(ValueError, match="add up to 9 positions"):
        transformer(features, segments=[4, 4])
    with pytest.raises(ValueError, match="in one row, got 2"):
        transformer(features_of(2), segments=segments)


def test_with_rotary_only_distances_matter():
    transformer, features = transformer_of(replace(SIZES, rotary=True)), features_of()
    near = transformer(features, positions=torch.arange(9))
    far = transformer(features, positions=torch.arange(9) + 40)
    assert torch.allclose(near, far, atol=1e-4)
    stretched = transformer(features, positions=2 * torch.arange(9))
    assert (near - stretched).abs().max() > 0.01
    assert torch.allclose(near, transformer(features), atol=1e-6)


def test_gradients_reach_every_parameter():
    config = replace(SIZES, residual_dropout=0.1, attention_dropout=0.1)
    transformer = Transformer(config).train()
    transformer(features_of()).square().sum().backward()
    for name, parameter in transformer.named_parameters():
        assert parameter.grad is not None, name


def test_it_follows_new_weights_after_a_reset():
    transformer, features = transformer_of(), features_of(1, 2)
    cache = KeyValueCache(SIZES, batch=1, capacity=2)
    with torch.inference_mode():
        for part in features.split(1, dim=1):
            transformer(part, cache)
        transformer.double()
        cache = KeyValueCache(SIZES, batch=1, capacity=2, dtype=torch.float64)
        parts = [transformer(part.double(), cache) for part in features.split(1, dim=1)]
        assert torch.allclose(torch.cat(parts, dim=1), transformer(features.double()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "layers must be at least 1"),
        ({"heads": 3}, "multiple of heads 3"),
        ({"heads": 16, "rotary": True}, "even head width"),
        ({"mlp_ratio": 0.0}, "mlp_ratio"),
        ({"mlp_ratio": float("nan")}, "mlp_ratio"),
        ({"mlp_ratio": 1e308}, "mlp_ratio"),
        ({"attention_dropout": 1.0}, "attention_dropout must be within"),
    ],
)
def test_sizes_that_cannot_be_say_why(changes, message):
    with pytest.raises(ConfigError, match=message):
        replace(SIZES, **changes)
