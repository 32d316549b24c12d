from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.spelling import SPELLINGS, spell, symbols_to_text, unspell, vocabulary_size
from loopyvq.tokens import CONTINUE, PAD, Tokens


@st.composite
def tokens_and_size(draw):
    sites = tuple(draw(st.lists(st.integers(0, 5), min_size=1, max_size=3)))
    depth, size = draw(st.integers(0, 6)), draw(st.integers(1, 9))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    full = draw(st.sampled_from(["random", "full", "empty"]))
    lengths = {
        "random": torch.randint(0, depth + 1, sites, generator=generator),
        "full": torch.full(sites, depth),
        "empty": torch.zeros(sites, dtype=torch.int64),
    }[full]
    codes = torch.randint(0, size, (*sites, depth), generator=generator)
    dummy = torch.rand((*sites, depth), generator=generator) < 0.4
    codes = torch.where(dummy, CONTINUE, codes)
    codes = torch.where(torch.arange(depth) < lengths.unsqueeze(-1), codes, PAD)
    return Tokens(codes, lengths), size


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(case=tokens_and_size())
@settings(max_examples=150, deadline=None)
def test_every_spelling_inverts_exactly(spelling, case):
    tokens, size = case
    symbols = spell(tokens, spelling, size)
    assert symbols.numel() == 0 or symbols.min() >= 0
    assert symbols.numel() == 0 or symbols.max() < vocabulary_size(spelling, size, tokens.max_depth)
    back = unspell(symbols, spelling, size, tokens.lengths.shape, tokens.max_depth)
    assert torch.equal(back.codes, tokens.codes)
    assert torch.equal(back.lengths, tokens.lengths)


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(
    symbols=st.lists(st.integers(-1, 16), max_size=30),
    sites=st.lists(st.integers(0, 4), min_size=1, max_size=2),
    depth=st.integers(0, 4),
)
@settings(max_examples=200, deadline=None)
def test_any_sequence_either_reads_back_to_itself_or_is_refused(spelling, symbols, sites, depth):
    sequence = torch.tensor(symbols, dtype=torch.int64)
    try:
        tokens = unspell(sequence, spelling, 3, sites, depth)
    except ValueError:
        return
    tokens.validate(3)
    assert tokens.lengths.numel() == prod(sites)
    assert torch.equal(spell(tokens, spelling, 3), sequence)


@pytest.mark.parametrize(
    ("spelling", "text"),
    [
        ("flat", "D D A STOP B C STOP STOP"),
        ("dummy", "D D A B+ C STOP"),
        ("run_length", "2 A 0 B+ 0 C 0 STOP"),
        ("depth_major", "D B STOP D C A STOP"),
    ],
)
def test_the_notes_own_example(spelling, text):
    codes = torch.tensor([[CONTINUE, CONTINUE, 0], [1, 2, PAD], [PAD, PAD, PAD]])
    tokens = Tokens(codes, torch.tensor([3, 2, 0]))
    assert symbols_to_text(spell(tokens, spelling, 3), 3, labels="ABC") == text


def test_codes_without_labels_are_numbers():
    tokens = Tokens(torch.tensor([[4, 1]]), torch.tensor([2]))
    assert symbols_to_text(spell(tokens, "run_length", 5), 5, labels="AB") == "0 4+ 0 B"


def test_an_unknown_spelling_is_named():
    tokens = Tokens(torch.zeros(1, 1, dtype=torch.int64), torch.ones(1, dtype=torch.int64))
    with pytest.raises(ValueError, match="'backwards'"):
        spell(tokens, "backwards", 2)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_narrow_numbers_spell_the_same(spelling):
    codes, lengths = torch.tensor([[19999, 5, PAD], [PAD] * 3]), torch.tensor([2, 0])
    wide = spell(Tokens(codes, lengths), spelling, 20000)
    narrow = spell(Tokens(codes.short(), lengths.to(torch.uint8)), spelling, 20000)
    assert torch.equal(narrow, wide)


def test_more_to_follow_and_then_a_stop_spells_nothing():
    for spelling, symbols in (("dummy", [4, 3, 0]), ("run_length", [6, 4, 6, 3, 6, 0])):
        with pytest.raises(ValueError, match="must not stand before a STOP"):
            unspell(torch.tensor(symbols), spelling, 2, (2,), 2)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_one_vector_comes_back(spelling):
    tokens = Tokens(torch.tensor([3, CONTINUE, PAD]), torch.tensor(2))
    back = unspell(spell(tokens, spelling, 4), spelling, 4, (), 3)
    assert torch.equal(back.codes, tokens.codes)
    assert torch.equal(back.lengths, tokens.lengths)
