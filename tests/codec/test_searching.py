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
from loopyvq.coding.turns import CONTINUE, PAD
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


def test_a_way_that_begins_badly_may_end_well():
    codes = [[0.9, 0.7], [1.0, 0.0], [0.0, 1.0], [-3.0, 0.0]]
    vectors = [[[1.0, 1.0]]]
    for ways, expected in ((1, [0]), (2, [1, 2])):
        found = searched(nothing_yet(1, 1), stakes(vectors, codes, 1e-3), even_tables(), ways)
        assert sorted(found.codes[0, 0, : found.lengths[0, 0]].tolist()) == expected
        assert (found.codes[0, 0, found.lengths[0, 0] :] == PAD).all()


def cost_in_place(grid, site, path, tables, asked):
    """Squared error and priced bits of a path at one site, all others given, as coded."""
    grid = [*grid[:site], path, *grid[site + 1 :]]
    height, width = asked.prices.shape
    lengths = np.array([len(tokens) for tokens in grid]).reshape(height, width)
    around = Surroundings(height, width, tables.codebook, tables.gains, True)
    cost, left = 0.0, asked.vectors.reshape(-1, 2)[site]
    for turn in range(asked.depth):
        around.start_turn()
        for batch in batches_of(lengths >= turn, turn):
            places = batch.rows * width + batch.columns
            symbols = np.array(
                [
                    SIZE + 1 if len(grid[place]) == turn
                    else SIZE if grid[place][turn] == CONTINUE else grid[place][turn]
                    for place in places
                ]
            )  # fmt: skip
            for row in np.nonzero(places == site)[0]:
                scores = tables.networks[turn].scores(around.features(batch, 0)[row : row + 1])
                frequency = frequencies_of_weights(weights_of_scores(scores))[0, symbols[row]]
                cost += asked.prices.ravel()[site] * np.log2(TOTAL / frequency)
                if symbols[row] < SIZE:
                    left = left - asked.codebooks[turn, symbols[row]]
            around.reveal(batch, symbols, turn)
    return cost + float((left**2) @ asked.metric)


def order_of_choice(height, width):
    """Sites as they are coded in the first turn."""
    batches = batches_of(np.ones((height, width), np.bool_), 0)
    return [int(place) for rows, columns, *_ in batches for place in rows * width + columns]


@pytest.mark.parametrize(("height", "width", "seed"), [(1, 1, 0), (2, 3, 1), (3, 3, 2)])
def test_every_site_takes_the_cheapest_of_all_ways(height, width, seed, monkeypatch):
    monkeypatch.setattr(searching, "_HEAD_START", 1e12)  # nothing is learned from the image
    generator, tables = np.random.default_rng(seed), make_tables()
    asked = stakes(
        generator.normal(0, 1, (height, width, 2)),
        generator.normal(0, 0.6, (SIZE, 2)),
        may_stop=False,
        prices=0.3 * np.exp(generator.normal(0, 1, (height, width))),
        metric=np.array([1.0, 0.4]),
    )
    codes = generator.integers(0, SIZE, (height, width, DEPTH))
    first = CodedTokens(codes, np.full((height, width), DEPTH))
    found = searched(first, asked, tables, 200).codes.reshape(-1, DEPTH).tolist()
    grid = [tuple(tokens) for tokens in codes.reshape(-1, DEPTH).tolist()]
    for site in order_of_choice(height, width):
        ways = list(product((*range(SIZE), CONTINUE), repeat=DEPTH))
        costs = [cost_in_place(grid, site, way, tables, asked) for way in ways]
        grid[site] = tuple(found[site])
        assert costs[ways.index(grid[site])] == pytest.approx(min(costs), rel=1e-3)


def test_sites_that_nothing_joins_go_their_own_ways(monkeypatch):
    """More than are chosen at once, each with a vector and a price of its own."""
    monkeypatch.setattr(searching, "_HEAD_START", 1e12)  # nothing is learned from the image
    generator = np.random.default_rng(0)
    asked = stakes(generator.normal(0, 1, (60, 60, 2)), generator.normal(0, 0.6, (SIZE, 2)))
    asked = asked._replace(prices=np.exp(generator.normal(-4, 2, (60, 60))))
    found = searched(nothing_yet(60, 60), asked, even_tables(), 8)
    for row, column in ((0, 0), (1, 1), (17, 40), (59, 58)):
        alone = stakes(asked.vectors[row : row + 1, column : column + 1], asked.codebooks[0])
        alone = alone._replace(prices=asked.prices[row : row + 1, column : column + 1])
        expected = searched(nothing_yet(1, 1), alone, even_tables(), 8)
        assert found.codes[row, column].tolist() == expected.codes[0, 0].tolist()


def test_symbols_that_came_more_often_than_expected_are_cheaper():
    tables, generator = make_tables(), np.random.default_rng(0)
    codes = generator.choice([0, 0, 0, 1, CONTINUE], (12, 12, DEPTH))
    tokens = CodedTokens(codes, np.full((12, 12), DEPTH))
    asked = stakes(np.zeros((12, 12, 2)), np.zeros((SIZE, 2)), may_stop=False)
    search = searching._Search(*tokens, asked, tables, 1)
    around = Surroundings(12, 12, tables.codebook, tables.gains, True)
    around.start_turn()
    came, expected = np.full(SIZE + 2, 3.0), np.full(SIZE + 2, 3.0)
    for batch in batches_of(np.ones((12, 12), np.bool_), 0):
        symbols = np.where(codes[..., 0] == CONTINUE, SIZE, codes[..., 0])
        here = symbols[batch.rows, batch.columns]
        scores = tables.networks[0].scores(around.features(batch, 0))
        expected += frequencies_of_weights(weights_of_scores(scores)).sum(axis=0) / TOTAL
        came += np.bincount(here, minlength=SIZE + 2)
        around.reveal(batch, here, 0)
    nothing = np.zeros((1, 56), np.int16), np.zeros((1, 20), np.int16)
    costs = search._turns[0]
    before = costs.nats(costs.hear(nothing[0]), nothing[1])[0, : SIZE + 2]
    search.learn_from_image(0)
    after = costs.nats(costs.hear(nothing[0]), nothing[1])[0, : SIZE + 2]
    saved = (before - after).numpy() - np.log(came / expected)
    assert np.ptp(saved) < 0.02
    assert np.ptp(np.log(came / expected)) > 1


def test_the_longest_sites_may_grow_a_little_and_all_may_shrink():
    codes = [[0.1, 0.0], [0.0, 0.1], [-1.0, 0.0], [0.0, -1.0]]
    vectors = [[[0.3, 0.0], [0.0, 0.0]]]
    first = CodedTokens(np.array([[[0, PAD, PAD], [0, 1, 2]]]), np.array([[1, 3]]))
    found = searched(first, stakes(vectors, codes, 1e-5), even_tables(), 4)
    assert found.lengths.tolist() == [[3, 0]]
    assert found.codes.tolist() == [[[0, 0, 0], [PAD] * 3]]
    assert first.lengths.tolist() == [[1, 3]]


@pytest.mark.parametrize("price", [0.0, 1e-6, 1e30, 1e300])
def test_prices_without_end(price, tokenizer, tables, latents):
    start = bounded_tokens(tokenizer.quantizer, latents, 0.3, "rate_distortion", bound=False).tokens
    greedy, found = (
        weighed_tokens(
            tokenizer.quantizer, latents, tables, start, price, min_length=1, ways=ways
        ).validate(16)
        for ways in (1, 8)
    )
    if price < 1:
        errors = [squared_error(tokens, tokenizer.quantizer, latents) for tokens in (found, greedy)]
        assert errors[0] < errors[1]
    else:
        assert found.lengths.unique().tolist() == [1]


def test_of_no_turns_there_is_nothing_to_choose(tokenizer, tables, latents):
    start = tokenizer.quantizer.encode(latents, 0.0, 0)
    found = weighed_tokens(
        tokenizer.quantizer, latents, tables, start, 0.01, may_stop=False, ways=8
    ).validate(16)
    assert not found.lengths.any()


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
