import pytest
import torch

from loopyvq.conditions import Condition
from loopyvq.data.token_batch import PackedTokens
from loopyvq.data.token_draws import TokenDraws, is_held_out, split_rows
from loopyvq.data.token_shards import ShardPlan, TokenShards
from loopyvq.data.token_source import TokenSource
from loopyvq.errors import DataError
from tests.data.test_token_batch import random_tokens


def shards_of(images=40, views=1):
    """Images that are told by their class; every one is there ``views`` times."""
    tokens = random_tokens(0, images)
    packed = PackedTokens.pack(tokens, Condition(classes=torch.arange(images)))
    source = TokenSource(codebook_size=9, max_depth=4, rows=2, columns=3, classes=images)
    return TokenShards(ShardPlan(source), packed, torch.arange(images) // views)


def drawn(draws, numbers):
    return draws.__getitems__(list(numbers)).condition.classes.tolist()


def test_a_draw_depends_on_seed_and_number_alone():
    shards = shards_of()
    rows = torch.arange(40)
    whole = drawn(TokenDraws(shards, rows, 3, 200), range(200))
    again = TokenDraws(shards, rows, 3, 200)
    assert [drawn(again, [i])[0] for i in (150, 3, 99)] == [whole[i] for i in (150, 3, 99)]
    assert drawn(TokenDraws(shards, rows, 4, 200), range(40)) != whole[:40]
    assert whole[:40] != whole[40:80]
    for epoch in range(5):
        assert sorted(whole[40 * epoch : 40 * epoch + 40]) == list(range(40))


def test_one_draw_is_a_batch_of_one_image():
    draws = TokenDraws(shards_of(), torch.arange(40), 0, 10)
    batch = draws[3]
    assert batch.tokens.codes.shape == (1, 2, 3, 4)
    assert draws.collate(batch) is batch
    assert len(draws) == 10


def test_views_of_an_image_fall_on_one_side_and_count_once_in_validation():
    shards = shards_of(600, views=3)
    training, validation = split_rows(shards, 0.2)
    numbers = shards.numbers
    assert not set(numbers[training].tolist()) & set(numbers[validation].tolist())
    assert len(set(numbers[validation].tolist())) == len(validation)
    assert len(training) + 3 * len(validation) == 600
    assert 20 < len(validation) < 60
    assert len(split_rows(shards, 0.0)[1]) == 0
    fewer = is_held_out(torch.arange(100), 0.2)
    assert torch.equal(fewer, is_held_out(torch.arange(300), 0.2)[:100])


def test_what_is_out_of_range_is_refused():
    shards = shards_of()
    with pytest.raises(DataError, match="no images to draw from"):
        TokenDraws(shards, torch.arange(0), 0, 10)
    with pytest.raises(ValueError, match="num_draws at least 1"):
        TokenDraws(shards, torch.arange(3), 0, 0)
    with pytest.raises(IndexError, match="draw must be 0 to 9"):
        TokenDraws(shards, torch.arange(3), 0, 10)[10]
    with pytest.raises(ValueError, match="within"):
        split_rows(shards, 1.0)
