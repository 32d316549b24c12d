"""The beam search: the same both ways, and never worse than the loop."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.quantize import LoopConfig, LoopQuantizer
from loopyvq.quantize.residual import Costs, Limits, Walk, beam_walk, better_of, residual_walk
from loopyvq.quantize.residual.backends import compiled_path, has_numba
from loopyvq.quantize.residual.beam import dense_beam
from loopyvq.quantize.residual.table import GramTable
from loopyvq.quantize.stop import rate_distortion_lengths, truncate
from loopyvq.tokens import CONTINUE, PAD

needs_numba = pytest.mark.skipif(not has_numba(), reason="needs numba: pip install 'loopyvq[fast]'")


@st.composite
def problems(draw):
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    rows, size = draw(st.integers(1, 25)), draw(st.integers(1, 140))
    width, depth = draw(st.integers(1, 12)), draw(st.integers(1, 8))
    codes = torch.randn(size, width, generator=generator)
    sigma = torch.tensor(draw(st.sampled_from([1e-4, 0.7, 1e4])))
    z = torch.randn(rows, width, generator=generator, dtype=torch.float64)
    z = (1.7 * z + draw(st.sampled_from([0.0, 0.0, 30.0]))) * sigma.double()
    limits = Limits(
        torch.rand(rows, generator=generator).double() * draw(st.sampled_from([0.0, 0.8, 4.0])),
        torch.randint(depth + 1, (rows,), generator=generator),
        draw(st.sampled_from([0, 0, 1, depth])),
        draw(st.sampled_from([0.0, 0.0, 0.1])),
        draw(st.sampled_from([True, True, False])),
        draw(st.sampled_from([0, 0, 1, depth])),
    )
    prices = 0.2 + 2 * torch.rand(size, generator=generator)
    rates = torch.rand(rows, generator=generator).double() * draw(st.sampled_from([0.0, 0.3]))
    gains = draw(st.sampled_from([0.3, 0.75, 0.95, 1.0])) ** torch.arange(float(depth))
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    return z.to(dtype), codes, gains, sigma, limits, Costs(rates, prices, 1.0)


def compiled(z, codes, gains, sigma, limits, size, costs):
    path = compiled_path()
    table = GramTable.build(codes, gains, with_gram=True, multiple=path.MULTIPLE)
    return path.compiled_beam(z, sigma, table, limits, size, costs)


def dense(z, codes, gains, sigma, limits, size, costs):
    return dense_beam(z, gains[:, None, None] * codes, sigma, limits, size, costs)


def unpriced(rows, size):
    return Costs(torch.zeros(rows, dtype=torch.float64), torch.ones(size), 1.0)


def assert_same(found, expected):
    assert torch.equal(found.codes, expected.codes)
    assert torch.equal(found.lengths, expected.lengths)
    assert torch.equal(found.reached, expected.reached)
    torch.testing.assert_close(found.norms, expected.norms, rtol=1e-12, atol=1e-300)


@needs_numba
@settings(max_examples=120, deadline=None)
@given(problems(), st.integers(1, 9))
def test_compiled_and_dense_give_the_same(problem, size):
    *search, costs = problem
    assert_same(compiled(*search, size, costs), dense(*search, size, costs))


@settings(max_examples=60, deadline=None)
@given(problems())
def test_one_path_without_prices_is_the_loop(problem):
    z, *others, costs = problem
    search = (z.double(), *others)  # rounded sums may tie where the residuals do not
    costs = costs._replace(rates=torch.zeros_like(costs.rates))
    assert_same(beam_walk(*search, 1, costs), residual_walk(*search))


@settings(max_examples=60, deadline=None)
@given(problems())
def test_one_path_with_equal_prices_is_the_loop_where_it_is_cheapest_to_stop(problem):
    z, *others, limits, costs = problem
    search = (z.double(), *others)
    costs = costs._replace(prices=torch.ones_like(costs.prices))
    endless = limits._replace(threshold=torch.zeros_like(limits.threshold))
    greedy = residual_walk(*search, endless)
    least = limits.min_length
    stop = rate_distortion_lengths(greedy.norms, costs.rates.sqrt().unsqueeze(1), least, 1.0)
    expected = truncate(greedy, stop.squeeze(1), limits.threshold)
    found = beam_walk(*search, limits, 1, costs)
    priced = costs.rates > 0
    assert torch.equal(found.codes[priced], expected.codes[priced])
    assert torch.equal(found.lengths[priced], expected.lengths[priced])


@settings(max_examples=80, deadline=None)
@given(problems(), st.integers(1, 9))
def test_a_walk_is_well_formed_and_its_errors_are_true(problem, size):
    z, codes, gains, sigma, limits, costs = problem
    found = beam_walk(z, codes, gains, sigma, limits, size, costs)
    turn = torch.arange(len(gains))
    assert torch.equal(found.codes == PAD, turn >= found.lengths.unsqueeze(1))
    assert (found.lengths <= limits.depth).all()
    assert (found.lengths >= limits.depth.clamp(max=limits.min_length)).all()
    assert limits.dummies or (found.codes != CONTINUE).all()
    total = torch.zeros_like(z)
    for turn in range(len(gains) + 1):
        true = (z.double() - (total * sigma).double()).norm(dim=1) / sigma.double()
        torch.testing.assert_close(found.norms[:, turn], true, rtol=1e-12, atol=1e-300)
        if turn < len(gains):
            code = found.codes[:, turn]
            step = gains[turn] * codes[code.clamp(min=0)]
            total = total + step * (code >= 0).unsqueeze(1)
    assert torch.equal(found.reached, found.norms[:, -1] <= limits.threshold)
    if limits.dummies:
        assert (found.norms.diff(dim=1)[:, limits.first_dummy :] <= 0).all()


@settings(max_examples=80, deadline=None)
@given(problems(), st.integers(2, 9))
def test_the_better_of_both_is_never_worse_than_the_loop(problem, size):
    *search, limits, costs = problem
    greedy = residual_walk(*search, limits)
    best = better_of(beam_walk(*search, limits, size, costs), greedy, costs)
    priced = costs.rates > 0
    assert (costs.of(best) <= costs.of(greedy))[priced].all()
    assert (best.lengths <= greedy.lengths)[~priced].all()
    same = best.lengths == greedy.lengths
    assert (best.norms[:, -1] <= greedy.norms[:, -1])[~priced & same].all()
    assert (best.reached | ~greedy.reached)[~priced].all()


def test_more_paths_find_what_the_loop_misses():
    # The nearest code to 1.2 is 1, and nothing brings .2 closer; .7 + .5 is 1.2.
    z, codes = torch.tensor([[1.2]]), torch.tensor([[1.0], [0.7], [0.5]])
    limits = Limits(torch.tensor([1e-6]).double(), torch.tensor([2]))
    search = (z, codes, torch.ones(2), torch.tensor(1.0), limits)
    costs = unpriced(1, 3)
    assert residual_walk(*search).codes.tolist() == [[0, CONTINUE]]
    for way in (beam_walk, dense):
        found = way(*search, 2, costs)
        assert sorted(found.codes[0].tolist()) == [1, 2]
        assert found.reached.all()


def test_a_dear_code_gives_way_to_a_cheap_one():
    z, codes = torch.tensor([[1.0]]), torch.tensor([[1.0], [0.9]])
    limits = Limits(torch.zeros(1).double(), torch.tensor([1]))
    search = (z, codes, torch.ones(1), torch.tensor(1.0), limits)
    prices = torch.tensor([3.0, 1.0])
    for rate, expected in ((0.0, 0), (0.004, 0), (0.006, 1), (2.0, PAD)):
        costs = Costs(torch.tensor([rate]).double(), prices, 1.0)
        for way in (beam_walk, dense):
            assert way(*search, 4, costs).codes.tolist() == [[expected]]


def test_a_search_goes_on_while_any_path_may_still_pay_off():
    # After two turns 1.5 + .8 is the cheapest path, but too dear to beat 2.6 alone; 1.05 + .8 is
    # not, and the third turn brings it there.
    z, codes = torch.tensor([[2.29]]), torch.tensor([[1.05], [1.55], [2.57]])
    limits = Limits(torch.zeros(1).double(), torch.tensor([3]))
    costs = Costs(torch.tensor([0.132]).double(), torch.tensor([0.68, 1.92, 1.67]), 1.0)
    search = (z, codes, 0.75 ** torch.arange(3.0), torch.tensor(1.0), limits, 3, costs)
    for way in (beam_walk, dense):
        assert way(*search).codes.tolist() == [[0, 0, 0]]


def test_costs_are_error_and_prices_together():
    walk = Walk(
        torch.tensor([[1, CONTINUE, 0], [0, PAD, PAD], [PAD] * 3]),
        torch.tensor([3, 1, 0]),
        torch.tensor([[2.0] * 4, [3.0] * 4, [5.0] * 4]).double(),
        torch.tensor([True] * 3),
    )
    costs = Costs(torch.tensor([0.5, 1.0, 7.0]).double(), torch.tensor([1.0, 10.0]), 4.0)
    assert costs.of(walk).tolist() == [4 + 0.5 * 15, 9 + 1.0, 25]


def test_equal_walks_stay_those_of_the_loop():
    greedy = residual_walk(
        torch.tensor([[1.0]]),
        torch.tensor([[1.0], [1.0]]),
        torch.ones(1),
        torch.tensor(1.0),
        Limits(torch.zeros(1).double(), torch.ones(1, dtype=torch.int64)),
    )
    other = greedy._replace(codes=torch.tensor([[1]]))
    assert better_of(other, greedy, unpriced(1, 2)).codes.tolist() == [[0]]


@needs_numba
@pytest.mark.parametrize("size", [1, 4])
def test_threads_blocks_and_batches_change_nothing(monkeypatch, size):
    generator = torch.Generator().manual_seed(0)
    z, codes = torch.randn(700, 5, generator=generator), torch.randn(70, 5, generator=generator)
    limits = Limits(torch.full((700,), 0.4).double(), torch.full((700,), 5))
    search = (codes, 0.7 ** torch.arange(5.0), torch.tensor(1.0))
    expected = compiled(z, *search, limits, size, unpriced(700, 70))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert_same(compiled(z, *search, limits, size, unpriced(700, 70)), expected)
    finally:
        torch.set_num_threads(threads)
    monkeypatch.setattr(compiled_path(), "_FEWEST_ROWS", 7)
    monkeypatch.setattr(compiled_path(), "_SCORES_PER_BLOCK", 1)
    assert_same(compiled(z, *search, limits, size, unpriced(700, 70)), expected)
    some = slice(33, 50)
    part = compiled(z[some], *search, limits.of(some), size, unpriced(17, 70))
    assert torch.equal(part.codes, expected.codes[some])


def test_the_dense_way_in_blocks(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    z, codes = torch.randn(40, 3, generator=generator), torch.randn(9, 3, generator=generator)
    limits = Limits(torch.full((40,), 0.2).double(), torch.arange(40) % 5)
    search = (z, codes, 0.6 ** torch.arange(4.0), torch.tensor(1.0), limits, 3, unpriced(40, 9))
    expected = dense(*search)
    monkeypatch.setattr("loopyvq.quantize.residual.beam._COSTS_PER_BLOCK", 7 * 27)
    assert_same(dense(*search), expected)


@pytest.mark.parametrize("way", [beam_walk, dense])
def test_no_vector_gives_no_token(way):
    limits = Limits(torch.zeros(0).double(), torch.zeros(0, dtype=torch.int64))
    search = (torch.zeros(0, 2), torch.ones(3, 2), torch.ones(4), torch.tensor(1.0), limits)
    found = way(*search, 2, unpriced(0, 3))
    assert found.codes.shape == (0, 4)
    assert found.norms.shape == (0, 5)


# Through the quantizer


@pytest.fixture(scope="module")
def fitted():
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(600, 4, generator=generator) * torch.rand(600, 1, generator=generator)
    config = LoopConfig(codebook_size=32, codebook_dim=4, max_depth=5, stop="rate_distortion")
    quantizer = LoopQuantizer.fit(data, config)
    quantizer.train()(data)  # usage, for the prices
    return quantizer.eval(), data


@pytest.mark.parametrize("beam_size", [1, 2, 6])
def test_within_the_threshold_when_decoded(fitted, beam_size):
    quantizer, data = fitted
    quantizer.stop, quantizer.priced_codes, quantizer.beam_size = "threshold", False, 1
    greedy = quantizer.encode(data, threshold=0.3)
    quantizer.beam_size = beam_size
    tokens = quantizer.encode(data, threshold=0.3)
    error = (data - quantizer.decode(tokens)).norm(dim=1) / quantizer.sigma
    assert (error[tokens.lengths < 5] <= 0.3 + 1e-6).all()
    assert (tokens.lengths <= greedy.lengths).all()
    assert (tokens.num_tokens < greedy.num_tokens) == (beam_size > 1)
    result = quantizer(data, threshold=0.3)
    assert torch.equal(result.codes, tokens.codes)
    assert torch.equal(result.z_q, quantizer.decode(tokens))


@pytest.mark.parametrize("priced", [False, True])
def test_costs_fall_with_the_size_of_the_beam(fitted, priced):
    quantizer, data = fitted
    quantizer.stop, quantizer.priced_codes = "rate_distortion", priced
    prices = quantizer.codebook.prices() if priced else torch.ones(32)
    means = []
    for beam_size in (1, 2, 8):
        quantizer.beam_size = beam_size
        tokens = quantizer(data, threshold=0.3).tokens
        chosen = torch.where(tokens.codes >= 0, prices[tokens.codes.clamp(min=0)], 1.0)
        bits = chosen.where(tokens.codes != PAD, 0.0).sum(dim=1)
        error = (data - quantizer.decode(tokens)).norm(dim=1) / quantizer.sigma
        means.append(float((error.square() + 0.09 * bits).mean()))
    assert means[0] > means[1] > means[2]


def test_no_token_is_worth_an_infinite_price(fitted):
    quantizer, data = fitted
    quantizer.stop, quantizer.priced_codes, quantizer.beam_size = "rate_distortion", True, 2
    assert (quantizer.encode(data, threshold=torch.inf).lengths == 0).all()
