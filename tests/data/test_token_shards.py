import dataclasses
import json

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopyvq.conditions import Condition
from loopyvq.data.boxes import BoxConfig
from loopyvq.data.token_batch import PackedTokens
from loopyvq.data.token_shards import (
    ShardPlan,
    holds_token_shards,
    open_token_shards,
    read_plan,
    read_shard,
    shard_path,
    write_plan,
    write_shard,
)
from loopyvq.data.token_source import TokenSource
from loopyvq.errors import ConfigError, DataError
from loopyvq.tokens import Tokens
from tests.data.test_token_batch import random_tokens

SOURCE = TokenSource(codebook_size=9, max_depth=4, rows=2, columns=3, classes=300)
PLAN = ShardPlan(SOURCE, num_images=5, images_per_shard=3)


def write(folder, plan=PLAN, seed=0):
    """Two shards, of three and two images."""
    write_plan(folder, plan)
    tokens = random_tokens(seed, images=5)
    classes = torch.tensor([0, 7, 299, 1, 1])
    for shard, rows in enumerate((slice(0, 3), slice(3, 5))):
        part = type(tokens)(tokens.codes[rows], tokens.lengths[rows])
        packed = PackedTokens.pack(part, Condition(classes=classes[rows]))
        write_shard(shard_path(folder, shard), plan, packed, torch.arange(5)[rows])
    return tokens, classes


def test_shards_come_back_as_one_set(tmp_path):
    assert not holds_token_shards(tmp_path)
    tokens, classes = write(tmp_path)
    assert holds_token_shards(tmp_path)
    shards = open_token_shards(tmp_path)
    assert len(shards) == 5
    assert shards.plan == PLAN
    assert shards.source == SOURCE
    assert shards.numbers.tolist() == [0, 1, 2, 3, 4]
    batch = shards.packed.select(range(5))
    assert torch.equal(batch.tokens.codes, tokens.codes)
    assert torch.equal(batch.tokens.lengths, tokens.lengths)
    assert torch.equal(batch.condition.classes, classes)


@pytest.mark.parametrize("size", [1 << 15, (1 << 15) + 1])
def test_the_last_code_of_a_large_codebook_comes_back(tmp_path, size):
    plan = ShardPlan(dataclasses.replace(SOURCE, codebook_size=size, classes=0))
    tokens = Tokens(torch.full((1, 2, 3, 4), size - 1), torch.full((1, 2, 3), 4))
    path = shard_path(tmp_path, 0)
    write_shard(path, plan, PackedTokens.pack(tokens, Condition()), torch.zeros(1).long())
    packed, _ = read_shard(path, plan)
    assert torch.equal(packed.select([0]).tokens.codes, tokens.codes)


def test_codes_take_two_bytes_and_lengths_one(tmp_path):
    tokens, _ = write(tmp_path)
    packed, _ = read_shard(shard_path(tmp_path, 0), PLAN)
    assert packed.codes.dtype == torch.int16
    assert packed.lengths.dtype == torch.uint8
    assert packed.condition.classes.dtype == torch.int16
    assert packed.codes.numel() == int(tokens.lengths[:3].sum())


def test_what_is_missing_damaged_or_foreign_is_named(tmp_path):
    with pytest.raises(DataError, match="holds no token shards"):
        open_token_shards(tmp_path)
    write(tmp_path)
    second = shard_path(tmp_path, 1)
    blob = second.read_bytes()
    second.unlink()
    with pytest.raises(DataError, match=r"1 of 2 shards are missing .* again"):
        open_token_shards(tmp_path)
    second.write_bytes(blob[:-9])
    with pytest.raises(DataError, match="damaged"):
        open_token_shards(tmp_path)
    other = dataclasses.replace(PLAN, seed=1)
    write(tmp_path / "other", other)
    second.write_bytes(shard_path(tmp_path / "other", 1).read_bytes())
    with pytest.raises(DataError, match="does not belong to the other shards"):
        open_token_shards(tmp_path)
    (tmp_path / "tokens.json").write_text('{"views": 0}')
    with pytest.raises(DataError, match=r"tokens.json is damaged: views must be at least 1"):
        read_plan(tmp_path)


def test_contradictions_are_refused(tmp_path):
    narrow = dataclasses.replace(SOURCE, codebook_size=2)
    plan = dataclasses.replace(PLAN, source=narrow)
    write(tmp_path, plan)
    with pytest.raises(DataError, match="holds no valid tokens: codes must be"):
        open_token_shards(tmp_path)
    wide = dataclasses.replace(PLAN, source=dataclasses.replace(SOURCE, columns=2))
    write(tmp_path, wide)
    with pytest.raises(DataError, match="its grid is"):
        open_token_shards(tmp_path)
    longer = dataclasses.replace(PLAN, source=dataclasses.replace(SOURCE, min_length=1))
    write(tmp_path, longer)
    with pytest.raises(DataError, match="holds no valid tokens: lengths must be within 1"):
        open_token_shards(tmp_path)


def test_the_digest_names_the_tokens_and_not_the_places(tmp_path):
    moved = dataclasses.replace(
        PLAN, data="/elsewhere", source=dataclasses.replace(SOURCE, tokenizer_path="x/y")
    )
    assert moved.digest == PLAN.digest
    assert dataclasses.replace(PLAN, views=2).digest != PLAN.digest
    for change in ({"stop": "rate_distortion"}, {"weigh": 0.2}):
        weighed = dataclasses.replace(SOURCE, **change)
        assert dataclasses.replace(PLAN, source=weighed).digest != PLAN.digest
    assert [list(PLAN.images_of(i)) for i in range(PLAN.num_shards)] == [[0, 1, 2], [3, 4]]
    write_plan(tmp_path, PLAN)
    assert json.loads((tmp_path / "tokens.json").read_text())["num_images"] == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": -1}, "size must be"),
        ({"min_scale": 0.0}, "min_scale"),
        ({"views": 0}, "views"),
    ],
)
def test_plans_out_of_range_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(PLAN, **changes)


def test_boxes_come_back_and_name_the_plan(tmp_path):
    assert PLAN.digest == "062ed7e80e458ead"  # of shards that are older than boxes
    unused = dataclasses.replace(SOURCE, boxes=BoxConfig(num_boxes=3))
    assert dataclasses.replace(PLAN, source=unused).digest == PLAN.digest
    source = dataclasses.replace(unused, condition="boxes", box_classes=300)
    plan = dataclasses.replace(PLAN, source=source)
    other = dataclasses.replace(source, boxes=BoxConfig(num_boxes=2))
    assert len({PLAN.digest, plan.digest, dataclasses.replace(plan, source=other).digest}) == 3
    boxes = torch.tensor([[[299, 0, 5, 63, 9], [-1, 0, 0, 0, 0]], [[-1, 0, 0, 0, 0]] * 2])
    packed = PackedTokens.pack(random_tokens(0, images=2), Condition(boxes=boxes))
    write_shard(shard_path(tmp_path, 0), plan, packed, torch.arange(2))
    again, _ = read_shard(shard_path(tmp_path, 0), plan)
    assert again.condition.boxes.dtype == torch.int16
    assert torch.equal(again.select([1, 0]).condition.boxes, boxes.flip(0))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 255))
def test_any_damage_is_a_data_error_or_harmless(tmp_path, place, change):
    path = shard_path(tmp_path, 0)
    if not path.is_file():
        write(tmp_path)
    blob = bytearray(path.read_bytes())
    blob[place % len(blob)] ^= change
    hurt = tmp_path / "hurt"
    hurt.write_bytes(blob)
    try:
        packed, _ = read_shard(hurt, PLAN)
    except DataError:
        return
    packed.select(range(packed.num_images)).tokens.validate(SOURCE.codebook_size)
