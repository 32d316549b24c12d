import pytest
import torch

from loopyvq.conditions import Condition
from loopyvq.data.token_batch import PackedTokens
from loopyvq.data.token_shards import ShardPlan, TokenShards
from loopyvq.data.token_source import TokenSource
from loopyvq.metrics.rate import estimate_rate
from loopyvq.pretokenize import summarise, summary
from loopyvq.tokens import Tokens
from tests.data.test_token_batch import random_tokens


def test_everything_is_counted():
    tokens = random_tokens(0, images=6)
    source = TokenSource(
        codebook_size=9, max_depth=4, rows=2, columns=3, height=16, width=24, classes=2,
        class_names=("ant", "bee"),
    )  # fmt: skip
    classes = torch.tensor([0, 0, 1, 1, 1, 1])
    packed = PackedTokens.pack(tokens, Condition(classes=classes))
    found = summarise(TokenShards(ShardPlan(source), packed, torch.arange(6)))
    assert found.num_images == 6
    assert found.num_tokens == tokens.num_tokens
    assert found.tokens_per_image == pytest.approx(tokens.num_tokens / 6)
    assert found.tokens_per_site == pytest.approx(tokens.num_tokens / 36)
    assert found.length_histogram == tokens.lengths.flatten().bincount(minlength=5).tolist()
    rate = estimate_rate([tokens], 9)
    assert found.rate_bpp == pytest.approx(rate.total_bits / (6 * 384))
    assert found.stop_bpp == pytest.approx(rate.stop_bits / (6 * 384))
    ant, bee = found.classes
    assert (ant.name, ant.num_images, bee.num_images) == ("ant", 2, 4)
    assert ant.tokens_per_site == pytest.approx(float(tokens.lengths[:2].float().mean()))
    plain = packed._replace(condition=Condition())
    assert summarise(TokenShards(ShardPlan(source), plain, torch.arange(6))).classes == []


def test_the_rate_is_that_of_images_from_all_parts_of_a_large_set(monkeypatch):
    monkeypatch.setattr(summary, "_RATE_IMAGES", 3)
    tokens = random_tokens(0, images=6)
    source = TokenSource(codebook_size=9, max_depth=4, rows=2, columns=3, height=16, width=24)
    packed = PackedTokens.pack(tokens, Condition())
    found = summarise(TokenShards(ShardPlan(source), packed, torch.arange(6)))
    rate = estimate_rate([Tokens(tokens.codes[::2], tokens.lengths[::2])], 9)
    assert found.rate_bpp == pytest.approx(rate.total_bits / (3 * 384))
    assert found.num_images == 6
