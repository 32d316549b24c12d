import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loopyvq.coding.hindsight import Hindsight
from loopyvq.coding.order import batches_of
from loopyvq.coding.surroundings import Surroundings

WIDTH, SIZE, DEPTH = 3, 5, 4
DUMMY, STOP = SIZE, SIZE + 1


def tokens_of(seed, height, width):
    generator = np.random.default_rng(seed)
    codebook = generator.integers(-3000, 3000, (SIZE, WIDTH)).astype(np.int16)
    gains = np.array([256, 180, 128, 90], np.int16)
    lengths = generator.integers(0, DEPTH + 1, (height, width))
    symbols = generator.integers(0, SIZE + 1, (height, width, DEPTH))
    symbols[np.arange(DEPTH) >= lengths[..., None]] = STOP
    return codebook, gains, symbols, lengths


def assert_sees_what_the_coder_sees(hindsight, codebook, gains, symbols, lengths):
    """Walk over the sites as the coder does; its features begin with the neighbours' facts."""
    walk = Surroundings(*lengths.shape, codebook, gains, neighbours=True)
    num_seen = 0
    for turn in range(DEPTH):
        walk.start_turn()
        for batch in batches_of(lengths >= turn, turn):
            where = batch.rows, batch.columns
            seen = hindsight.around(*where, turn)
            assert np.array_equal(seen, walk.features(batch, 9)[:, : seen.shape[1]])
            assert (hindsight.phases(*where, turn) == batch.phase).all()
            walk.reveal(batch, symbols[*where, turn], turn)
            num_seen += len(batch.rows)
    assert num_seen == (lengths + (lengths < DEPTH)).sum()


@given(st.integers(0, 2**32), st.integers(1, 19), st.integers(1, 19))
def test_sees_what_the_coder_will_see(seed, height, width):
    given_tokens = tokens_of(seed, height, width)
    assert_sees_what_the_coder_sees(Hindsight(*given_tokens), *given_tokens)


def test_sees_it_where_the_coarsest_grid_takes_several_batches():
    given_tokens = tokens_of(0, 100, 90)
    assert_sees_what_the_coder_sees(Hindsight(*given_tokens), *given_tokens)


@given(st.integers(0, 2**32))
def test_other_tokens_are_seen_as_if_they_had_always_been(seed):
    codebook, gains, symbols, lengths = tokens_of(seed, 9, 7)
    hindsight = Hindsight(codebook, gains, symbols, lengths)
    _, _, others, other_lengths = tokens_of(seed + 1, 9, 7)
    rows, columns = np.nonzero(np.random.default_rng(seed).random((9, 7)) < 0.4)
    symbols[rows, columns], lengths[rows, columns] = (
        others[rows, columns],
        other_lengths[rows, columns],
    )
    hindsight.replace(rows, columns, others[rows, columns], other_lengths[rows, columns])
    assert_sees_what_the_coder_sees(hindsight, codebook, gains, symbols, lengths)
