from itertools import product

import numpy as np
import pytest
import torch

from loopyvq.codec import searching
from loopyvq.codec.bound import bounded_tokens
from loopyvq.codec.searching import searched
from loopyvq.codec.stakes import Aim, Stakes
from loopyvq.codec.tiles import latents_in_tiles
from loopyvq.codec.weighing import weighed_tokens
from loopyvq.coding import CodedTokens, Tables
from loopyvq.coding.frequencies import frequencies_of_weights, weights_of_scores
from loopyvq.coding.order import batches_of
from loopyvq.coding.range_coder import TOTAL
from loopyvq.coding.surroundings import Surroundings
from loopyvq.coding.turns import CONTINUE, PAD, share_at
from tests.codec.test_weighing import bits_of, squared_error
from tests.coding.formula import make_tables

SIZE, DEPTH = 4, 3
PRICE = 0.02


def even_tables():
    """Tables for which all symbols are equally likely everywhere."""
    arrays = {
        name: np.zeros_like(array) if name.startswith("turn") else array
        for name, array in make_tables().to_arrays().items()
    }
    return Tables.from_arrays(arrays)


def stakes(vectors, codes, price=PRICE, **changes):
    codebooks = np.broadcast_to(np.array(codes, np.float64), (DEPTH, len(codes), 2))
    prices, metric = np.full(np.shape(vectors)[:2], price), np.ones(2)
    all_of_it = Stakes(np.array(vectors), codebooks, prices, [1.0] * DEPTH, metric, True, 0)
    return all_of_it._replace(**changes)


def nothing_yet(height, width):
    codes = np.full((height, width, DEPTH), PAD)
    return CodedTokens(codes, np.zeros((height, width), np.int64))


def paths():
    """All ways to go on, and to stop."""
    for length in range(DEPTH + 1):
        yield from product((*range(SIZE), CONTINUE), repeat=length)


def cost_of(path, vector, tables, asked, share_of):
    """Squared error and priced bits of one site alone, as the coder counts them."""
    around, cost, left = Surroundings(1, 1, tables.codebook, tables.gains, True), 0.0, vector
    for turn in range(min(len(path) + 1, DEPTH)):
        code = path[turn] if turn < len(path) else None
        symbol = SIZE + 1 if code is None else SIZE if code == CONTINUE else code
        (batch,) = batches_of(np.ones((1, 1), np.bool_), turn)
        batch = batch._replace(phase=0)
        around.start_turn()
        scores = tables.networks[turn].scores(around.features(batch, share_of(turn)))
        frequency = frequencies_of_weights(weights_of_scores(scores))[0, symbol]
        cost += asked.prices[0, 0] * np.log2(TOTAL / frequency)
        around.reveal(batch, np.array([symbol]), turn)
        if symbol < SIZE:
            left = left - asked.codebooks[turn, symbol]
    return cost + float((left**2).sum())


def test_a_way_that_begins_badly_may_end_well():
    codes = [[0.9, 0.7], [1.0, 0.0], [0.0, 1.0], [-3.0, 0.0]]
    vectors = [[[1.0, 1.0]]]
    for ways, expected in ((1, [0]), (2, [1, 2])):
        found = searched(nothing_yet(1, 1), stakes(vectors, codes, 1e-3), even_tables(), ways)
        assert sorted(found.codes[0, 0, : found.lengths[0, 0]].tolist()) == expected
        assert (found.codes[0, 0, found.lengths[0, 0] :] == PAD).all()


@pytest.mark.parametrize("seed", range(6))
def test_many_ways_find_the_cheapest_of_all(seed, monkeypatch):
    monkeypatch.setattr(searching, "_HEAD_START", 1e9)  # no correction by the image
    generator, tables = np.random.default_rng(seed), make_tables()
    vector = generator.normal(0, 1, 2)
    asked = stakes([[vector]], generator.normal(0, 0.6, (SIZE, 2)), 0.001)
    first = nothing_yet(1, 1)
    found = searched(first, asked, tables, 200)
    path = tuple(found.codes[0, 0, : found.lengths[0, 0]].tolist())

    def cost(path):
        return cost_of(path, vector, tables, asked, lambda turn: share_at(first.lengths, turn))

    # But for ways that looked hopeless and were given up.
    assert cost(path) == pytest.approx(min(map(cost, paths())), rel=5e-3)


def test_the_longest_sites_may_grow_a_little_and_all_may_shrink():
    codes = [[0.1, 0.0], [0.0, 0.1], [-1.0, 0.0], [0.0, -1.0]]
    vectors = [[[0.3, 0.0], [0.0, 0.0]]]
    first = CodedTokens(np.array([[[0, PAD, PAD], [0, 1, 2]]]), np.array([[1, 3]]))
    found = searched(first, stakes(vectors, codes, 1e-5), even_tables(), 4)
    assert found.lengths.tolist() == [[3, 0]]
    assert found.codes.tolist() == [[[0, 0, 0], [PAD] * 3]]
    assert first.lengths.tolist() == [[1, 3]]


def test_free_bits_buy_the_least_error():
    codes = np.array([[0.5, 0.1], [0.0, 0.4], [-0.3, 0.0], [0.1, -0.2]])
    vector = np.array([0.33, 0.41])
    found = searched(nothing_yet(1, 1), stakes([[vector]], codes, 0.0), even_tables(), 200)
    taken = found.codes[0, 0, : found.lengths[0, 0]]
    sums = codes[taken[taken != CONTINUE]].sum(axis=0)
    rows = np.vstack([codes, np.zeros((1, 2))])
    least = min(
        ((vector - rows[list(path)].sum(axis=0)) ** 2).sum()
        for path in product(range(5), repeat=DEPTH)
    )
    assert ((vector - sums) ** 2).sum() == pytest.approx(least, rel=1e-4)


def test_lengths_that_are_asked_for_are_kept():
    codes = [[0.1, 0.0], [0.0, 0.1], [-1.0, 0.0], [0.0, -1.0]]
    vectors = np.zeros((5, 3, 2))
    for changes, expected in (
        ({"min_length": 1}, 1),
        ({"min_length": 2}, 2),
        ({"may_stop": False}, DEPTH),
        ({"may_stop": False, "keeps": [1.0] * 2}, 2),
    ):
        first = CodedTokens(np.full((5, 3, DEPTH), 3), np.full((5, 3), DEPTH))
        found = searched(first, stakes(vectors, codes, **changes), even_tables(), 3)
        assert np.unique(found.lengths).tolist() == [expected]
        # The cheapest of many that cost alike: nothing but dummies.
        assert (found.codes[..., :expected] == CONTINUE).all()


@pytest.fixture(scope="module")
def latents(tokenizer, image):
    return latents_in_tiles(tokenizer, image)


def test_squared_error_plus_priced_bits_falls_with_every_way(tokenizer, tables, latents):
    quantizer, price, costs = tokenizer.quantizer, 0.01, []
    start = bounded_tokens(quantizer, latents, 0.3, "rate_distortion", bound=False).tokens
    for ways in (1, 2, 8):
        found = weighed_tokens(quantizer, latents, tables, start, price, ways=ways).validate(16)
        bits = bits_of(found, quantizer, tables)
        costs.append(squared_error(found, quantizer, latents) + price * bits)
    assert costs[1] < 0.995 * costs[0]
    assert costs[2] < costs[1]


def test_what_counts_little_gets_little(tokenizer, tables, latents):
    quantizer = tokenizer.quantizer
    start = quantizer.encode(latents, 0.3)
    importance = np.ones(latents.shape[:2])
    importance[:3] = 0.1
    found, alike = (
        weighed_tokens(quantizer, latents, tables, start, 0.01, aim=aim, ways=4)
        for aim in (Aim(latents, importance=importance), None)
    )
    assert found.lengths[:3].sum() < 0.9 * alike.lengths[:3].sum()
    metric = np.array([1.0, 1.0, 1.0, 1e-6])
    blind = weighed_tokens(
        quantizer, latents, tables, start, 0.01, aim=Aim(latents, metric), ways=4
    )
    errors = [
        (latents - quantizer.decode(tokens)).square().mean(dim=(0, 1)) for tokens in (blind, alike)
    ]
    assert errors[0][3] > errors[1][3]
    assert errors[0][:3].sum() < errors[1][:3].sum()


def test_tokens_stay_where_they_are(tokenizer, tables, latents):
    start = tokenizer.quantizer.encode(latents, 0.0, 2)
    found = weighed_tokens(
        tokenizer.quantizer, latents, tables, start, 0.01, may_stop=False, ways=4
    ).validate(16)
    assert found.codes.device == start.codes.device
    assert found.codes.dtype == torch.int64
    assert found.lengths.unique().tolist() == [2]
