import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.quantize import LoopConfig, LoopQuantizer
from loopyvq.quantize.residual.table import GramTable, TableCache, segments


def build(codes, gains, with_gram=True, multiple=64):
    return GramTable.build(codes, gains, with_gram=with_gram, multiple=multiple)


def small(size=5, width=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, width, generator=generator) + 2, torch.tensor([1.0, 0.5, 0.25])


def test_what_is_computed_ahead():
    codes, gains = small(70)
    table = build(codes, gains)
    centred = codes.double() - codes.double().mean(dim=0)
    assert table.centred.shape == (128, 3)
    torch.testing.assert_close(table.centred[:70], centred.float())
    half = centred.square().sum(dim=1) / 2
    torch.testing.assert_close(table.half_squares[:70], half.float())
    assert (table.half_squares[70:] == torch.inf).all()
    drift = half + centred @ codes.double().mean(dim=0)
    torch.testing.assert_close(table.drift[:70], drift.float())
    products = codes.double() @ centred.T
    torch.testing.assert_close(table.gram[:, :70], products.float(), rtol=1e-5, atol=1e-5)
    for padded in (table.centred[70:], table.drift[70:], table.gram[:, 70:]):
        assert (padded == 0).all()


@pytest.mark.parametrize(("size", "multiple", "padded"), [(1, 64, 64), (64, 64, 64), (65, 64, 128)])
def test_codes_are_padded_to_whole_blocks(size, multiple, padded):
    codes, gains = small(size)
    table = build(codes, gains, multiple=multiple)
    assert table.gram.shape == (size, padded)
    assert build(codes, gains, False, multiple).gram.shape == (0, padded)


def test_the_table_is_a_copy():
    codes, gains = small()
    table = build(codes, gains)
    kept = table.codes.clone()
    codes.zero_()
    gains.zero_()
    assert torch.equal(table.codes, kept)
    assert (table.gains > 0).all()


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ([1.0], [(0, 1)]),
        ([1.0, 1.0, 1.0], [(0, 3)]),
        ([1.0, 1 / 16, 0.06], [(0, 2), (2, 3)]),
        ([1.0, 0.01, 0.009, 1e-4], [(0, 1), (1, 3), (3, 4)]),
    ],
)
def test_segments_end_where_the_gains_have_fallen_far(gains, expected):
    assert segments(torch.tensor(gains)) == expected
    codes, _ = small()
    assert build(codes, torch.tensor(gains)).segments == expected
    turns = [(turn, turn + 1) for turn in range(len(gains))]
    assert build(codes, torch.tensor(gains), with_gram=False).segments == turns


def scores_along(table, z, sigma, generator):
    """Walk as the kernel does, in float32, taking any codes; give scores, true ones and doubt."""
    codes, gains = table.codes.numpy(), table.gains.numpy()
    exact, centre = z.double().numpy(), table.centre.numpy()
    unit = np.float64(sigma)
    total = np.zeros_like(z.numpy())
    centred_codes = codes.astype(np.float64) - centre
    drift, size = table.drift.numpy(), len(codes)
    for first, last in table.segments:
        left = (exact - (total * sigma).astype(np.float64)) / unit
        short = (left - np.float64(gains[first]) * centre).astype(np.float32)
        reach = np.linalg.norm(short.astype(np.float64), axis=1)
        level = np.linalg.norm(exact / unit, axis=1) + np.linalg.norm(left, axis=1)
        product = torch.from_numpy(short) @ table.centred.T
        scores = gains[first] * table.half_squares.numpy() - product.numpy()
        for turn in range(first, last):
            gain = np.float64(gains[turn])
            left = (exact - (total * sigma).astype(np.float64)) / unit
            true = gain * np.square(centred_codes).sum(axis=1) / 2
            true = true - (left - gain * centre) @ centred_codes.T
            factors = table.bounds[turn].numpy()
            yield scores[:, :size], true, factors[0] * reach + factors[1] * level + factors[2]
            if turn + 1 == last:
                continue
            code = generator.integers(-1, size, len(z))
            step = np.where(code >= 0, gains[turn], np.float32(0))[:, None]
            total = total + step * codes[code]
            change = gains[turn + 1] - gains[turn]
            scores = scores + step * table.gram.numpy()[code] + change * drift


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    size=st.integers(1, 90),
    width=st.integers(1, 40),
    ratio=st.sampled_from([0.2, 0.75, 0.97, 1.0]),
    offset=st.sampled_from([0.0, 10.0, 1e3]),
    sigma=st.sampled_from([1e-3, 0.7, 40.0]),
)
def test_the_bounds_hold_for_all_pairs_of_scores(seed, size, width, ratio, offset, sigma):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randn(size, width, generator=generator) + offset
    gains = (ratio ** torch.arange(16.0)).clamp(min=1e-4)
    z = 3 * (torch.randn(20, width, generator=generator) + offset) * sigma
    choices = np.random.default_rng(seed)
    for scores, true, doubt in scores_along(build(codes, gains), z, np.float32(sigma), choices):
        error = scores.astype(np.float64) - true
        assert (np.ptp(error, axis=1) <= doubt).all()


def test_the_bounds_are_tight_enough_to_be_of_use():
    codes, _ = small(256, 12)
    gains = 0.8 ** torch.arange(8.0)
    z = torch.randn(100, 12, generator=torch.Generator().manual_seed(0))
    choices = np.random.default_rng(0)
    for scores, _, doubt in scores_along(build(codes, gains), z, np.float32(1), choices):
        best = np.sort(scores, axis=1)
        assert (best[:, 1] - best[:, 0] > doubt).mean() > 0.8


# The cache


@pytest.fixture
def kept():
    """Codes, gains, and a cache that holds their table."""
    codes, gains = small()
    cache = TableCache()
    cache.keep(build(codes, gains))
    return codes, gains, cache


def test_the_cache_gives_the_table_of_equal_codes_and_gains(kept):
    codes, gains, cache = kept
    table = cache.get(codes, gains, with_gram=True)
    assert table is not None
    assert cache.get(codes.clone(), gains.clone(), with_gram=False) is table
    assert TableCache().get(codes, gains, with_gram=False) is None


def test_the_cache_notices_codes_and_gains_that_change_in_place(kept):
    codes, gains, cache = kept
    codes[4, 2] = codes[4, 2].nextafter(torch.tensor(9.0))
    assert cache.get(codes, gains, with_gram=True) is None
    codes, gains = small()
    assert cache.get(codes, gains, with_gram=True) is not None
    gains[2] *= 1.5
    assert cache.get(codes, gains, with_gram=True) is None
    assert cache.get(codes, small()[1][:2], with_gram=True) is None
    assert cache.get(codes[:3], small()[1], with_gram=True) is None


def test_a_table_without_gram_matrix_does_not_serve_where_one_is_wanted(kept):
    codes, gains, cache = kept
    cache.keep(build(codes, gains, with_gram=False))
    assert cache.get(codes, gains, with_gram=False) is not None
    assert cache.get(codes, gains, with_gram=True) is None


def test_copies_of_a_cache_are_empty(kept):
    codes, gains, cache = kept
    for twin in (copy.deepcopy(cache), copy.copy(cache), pickle.loads(pickle.dumps(cache))):
        assert twin.get(codes, gains, with_gram=False) is None
    assert cache.get(codes, gains, with_gram=True) is not None


def quantizer():
    data = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    config = LoopConfig(codebook_size=16, codebook_dim=4, max_depth=4, start_iterations=2)
    return LoopQuantizer.fit(data, config), data


def test_a_copied_quantizer_leaves_the_table_behind():
    source, data = quantizer()
    expected = source.encode(data, threshold=0.1)
    assert source._tables._table is not None
    for twin in (copy.deepcopy(source), pickle.loads(pickle.dumps(source))):
        assert twin._tables._table is None
        assert torch.equal(twin.encode(data, threshold=0.1).codes, expected.codes)


def test_codes_that_are_changed_in_place_are_searched_at_once():
    source, data = quantizer()
    before = source.encode(data, threshold=0.0)
    with torch.no_grad():
        source.codebook.weight.copy_(source.codebook.weight.flip(0))
    after = source.encode(data, threshold=0.0)
    flipped = torch.where(before.codes >= 0, 15 - before.codes, before.codes)
    assert torch.equal(after.codes, flipped)
    source.codebook.weight.data[3] += 0.25
    twin = copy.deepcopy(source)
    assert torch.equal(source.encode(data).codes, twin.encode(data).codes)
