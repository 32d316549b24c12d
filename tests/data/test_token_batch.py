import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loopyvq.conditions import Condition
from loopyvq.data.token_batch import PackedTokens
from loopyvq.tokens import CONTINUE, PAD, Tokens


def random_tokens(seed, images=3, grid=(2, 3), depth=4, size=9):
    """Tokens of all lengths, dummies among them."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(0, depth + 1, (images, *grid), generator=generator)
    codes = torch.randint(0, size, (images, *grid, depth), generator=generator)
    dummy = torch.rand(codes.shape, generator=generator) < 0.2
    codes = torch.where(dummy, CONTINUE, codes)
    ran = torch.arange(depth) < lengths.unsqueeze(-1)
    return Tokens(torch.where(ran, codes, PAD), lengths)


@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 6))
def test_what_is_packed_comes_back_in_any_order(seed, images, depth):
    tokens = random_tokens(seed, images, depth=depth)
    condition = Condition(classes=torch.arange(images))
    packed = PackedTokens.pack(tokens, condition)
    assert packed.codes.numel() == tokens.num_tokens
    assert packed.tokens_per_image.tolist() == tokens.lengths.sum(dim=(1, 2)).tolist()
    rows = torch.randint(0, images, (images + 2,), generator=torch.Generator().manual_seed(seed))
    batch = packed.select(rows)
    assert torch.equal(batch.tokens.codes, tokens.codes[rows])
    assert torch.equal(batch.tokens.lengths, tokens.lengths[rows])
    assert torch.equal(batch.condition.classes, rows)


@given(st.integers(0, 2**31), st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_packs_are_joined(seed, sizes):
    parts = [random_tokens(seed + i, size) for i, size in enumerate(sizes)]
    places = [torch.rand(size, 2, 3, 2) for size in sizes]
    packs = [
        PackedTokens.pack(part, Condition(places=place))
        for part, place in zip(parts, places, strict=True)
    ]
    joined = PackedTokens.join(packs)
    batch = joined.select(range(sum(sizes)))
    assert joined.num_images == sum(sizes)
    assert torch.equal(batch.tokens.codes, torch.cat([part.codes for part in parts]))
    assert torch.equal(batch.condition.places, torch.cat(places))
    assert batch.condition.classes is None


def test_what_is_narrow_on_disk_is_wide_in_a_batch():
    tokens = random_tokens(0)
    narrow = PackedTokens.pack(tokens, Condition(classes=torch.zeros(3, dtype=torch.uint8)))
    narrow = narrow._replace(codes=narrow.codes.to(torch.int16))
    batch = narrow.select([0, 2])
    assert batch.tokens.codes.dtype == batch.condition.classes.dtype == torch.int64


def test_wrong_shapes_are_refused():
    flat = Tokens(torch.zeros(4, 2, dtype=torch.int64), torch.full((4,), 2))
    with pytest.raises(ValueError, match="sites b h w of at most 255 turns"):
        PackedTokens.pack(flat, Condition())
    lengths = torch.ones(1, 2, 2, dtype=torch.uint8)
    with pytest.raises(ValueError, match="4 codes expected"):
        PackedTokens.of(torch.zeros(3, dtype=torch.int64), lengths, Condition(), 1)
