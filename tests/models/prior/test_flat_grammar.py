import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.models.prior.flat_grammar import FLAT_SPELLINGS, Grammar
from loopyvq.spelling import spell, unspell
from loopyvq.tokens import CONTINUE, PAD, Tokens


@st.composite
def images(draw):
    """Tokens of a few images whose sites have at least some length."""
    depth = draw(st.integers(1, 4))
    least = draw(st.integers(0, depth))
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 4)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    lengths = torch.randint(least, depth + 1, shape, generator=generator)
    codes = torch.randint(0, 3, (*shape, depth), generator=generator)
    codes[torch.rand(codes.shape, generator=generator) < 0.4] = CONTINUE
    codes[torch.arange(depth) >= lengths.unsqueeze(-1)] = PAD
    return Tokens(codes, lengths), least


@pytest.mark.parametrize("spelling", FLAT_SPELLINGS)
@settings(max_examples=40)
@given(images())
def test_what_is_spelled_is_legal_and_read_as_it_was_spelled(spelling, case):
    tokens, least = case
    grammar = Grammar(spelling, 3, tokens.max_depth, least)
    sequences = grammar.spell(*tokens)
    for image in range(len(tokens.lengths)):
        mine = sequences.image == image
        alone = spell(Tokens(tokens.codes[image], tokens.lengths[image]), spelling, 3)
        assert torch.equal(sequences.symbols[mine], alone)
        reading = grammar.start(1)
        for place, symbol in enumerate(alone):
            stands = [int(item[mine][place]) for item in sequences.before]
            assert stands == [int(item) for item in reading]
            assert grammar.legal[grammar.state(reading)[0], symbol]
            assert int(reading.step) < grammar.most_steps
            reading = grammar.advance(reading, symbol.reshape(1))
        assert int(reading.site) == tokens.lengths.shape[1]


@pytest.mark.parametrize("spelling", FLAT_SPELLINGS)
@settings(max_examples=40)
@given(st.integers(1, 4), st.data())
def test_whatever_is_legal_spells_tokens(spelling, depth, data):
    least = data.draw(st.integers(0, depth))
    grammar, sites = Grammar(spelling, 2, depth, least), 3
    reading, found = grammar.start(1), []
    while int(reading.site) < sites:
        legal = grammar.legal[grammar.state(reading)[0]].nonzero().flatten().tolist()
        symbol = data.draw(st.sampled_from(legal))
        found.append(symbol)
        reading = grammar.advance(reading, torch.tensor([symbol]))
        assert len(found) <= sites * grammar.most_steps
    tokens = unspell(torch.tensor(found), spelling, 2, (sites,), depth)
    assert tokens.lengths.min() >= least
    assert spell(tokens, spelling, 2).tolist() == found


@pytest.mark.parametrize(("spelling", "fewest"), [("flat", 40), ("dummy", 40), ("run_length", 40)])
def test_all_tokens_can_be_spelled(spelling, fewest):
    """Count the legal sequences of one site: as many as there are tokens."""
    depth, codes = 3, 3
    expected = sum((codes + 1) ** length for length in range(1, depth + 1))
    grammar = Grammar(spelling, codes, depth, 1)
    count, waiting = 0, [grammar.start(1)]
    while waiting:
        reading = waiting.pop()
        for symbol in grammar.legal[grammar.state(reading)[0]].nonzero().flatten():
            after = grammar.advance(reading, symbol.reshape(1))
            if int(after.site):
                count += 1
            else:
                waiting.append(after)
    assert count == expected > fewest


@pytest.mark.parametrize("spelling", FLAT_SPELLINGS)
@pytest.mark.parametrize("least", [0, 1, 3])
def test_a_symbol_promises_what_the_shortest_site_with_it_has(spelling, least):
    grammar = Grammar(spelling, 1, 3, least)

    def shortest(reading):
        """Give the fewest tokens that may follow, and check every legal symbol on the way."""
        state, found = grammar.state(reading)[0], []
        for symbol in grammar.legal[state].nonzero().flatten():
            after, tokens = grammar.advance(reading, symbol.reshape(1)), int(grammar.turns[symbol])
            found.append(tokens if int(after.site) else tokens + shortest(after))
            assert int(grammar.commits[state, symbol]) == found[-1]
        return min(found)

    assert shortest(grammar.start(1)) == least


def test_a_spelling_must_finish_a_site_before_the_next():
    with pytest.raises(ValueError, match="one of flat, dummy, run_length: 'depth_major'"):
        Grammar("depth_major", 4, 2, 0)
