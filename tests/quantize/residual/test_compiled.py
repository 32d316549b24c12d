"""Every way to run the loop gives the same, whatever it is asked."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.quantize.residual import Limits, dense_walk, direct_walk
from loopyvq.quantize.residual.backends import compiled_path, has_numba
from loopyvq.quantize.residual.table import GramTable
from loopyvq.tokens import CONTINUE, PAD

pytestmark = pytest.mark.skipif(not has_numba(), reason="needs numba: pip install 'loopyvq[fast]'")


def compiled(latents, codes, gains, sigma, limits, with_gram=True):
    path = compiled_path()
    table = GramTable.build(codes, gains, with_gram=with_gram, multiple=path.MULTIPLE)
    return path.compiled_walk(latents, sigma, table, limits)


def every_way(latents, codes, gains, sigma, limits):
    codebooks = gains[:, None, None] * codes
    return {
        "direct": direct_walk(latents, codebooks, sigma, limits),
        "dense": dense_walk(latents, codebooks, sigma, limits),
        "a product per turn": compiled(latents, codes, gains, sigma, limits, with_gram=False),
        "compiled": compiled(latents, codes, gains, sigma, limits),
    }


def assert_all_equal(walks):
    expected = walks["direct"]
    for way, found in walks.items():
        assert torch.equal(found.codes, expected.codes), way
        assert torch.equal(found.lengths, expected.lengths), way
        assert torch.equal(found.reached, expected.reached), way
        torch.testing.assert_close(found.norms, expected.norms, rtol=1e-12, atol=0, msg=way)


def limits_for(rows, threshold=0.0, depth=20, **options):
    thresholds = torch.full((rows,), threshold, dtype=torch.float64)
    return Limits(thresholds, torch.full((rows,), depth), **options)


def vectors_of(kind, rows, codes, gains, generator):
    """Vectors that are easy, that lie between two codes, that are codes, or sums of two."""
    noise = torch.randn(rows, codes.shape[1], generator=generator, dtype=torch.float64)
    first, second = codes.double()[torch.randint(len(codes), (2, rows), generator=generator)]
    return {
        "random": 1.5 * noise,
        "midpoints": (first + second) / 2,
        "almost midpoints": (first + second) / 2 + 1e-7 * noise,
        "codes": first,
        "sums": first + gains[-1].double() * second,
    }[kind]


@st.composite
def problems(draw):
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    rows, size = draw(st.integers(1, 50)), draw(st.integers(1, 300))
    width, depth = draw(st.integers(1, 40)), draw(st.integers(1, 20))
    scale = 10.0 ** draw(st.integers(-4, 4))
    offset = draw(st.sampled_from([0.0, 0.0, 1e3, 1e4]))
    ratio = draw(st.sampled_from([0.05, 0.3, 0.75, 0.97, 1.0]))
    gains = ratio ** torch.arange(depth, dtype=torch.float64)
    gains = gains.clamp(min=1e-6).float()
    codes = torch.randn(size, width, generator=generator)
    if draw(st.booleans()):
        codes = codes[torch.randint(size // 2 + 1, (size,), generator=generator)]  # duplicates
    if draw(st.booleans()):
        codes = codes + offset  # the codes are where the data are
    kinds = ["random", "midpoints", "almost midpoints", "codes", "sums"]
    z = vectors_of(draw(st.sampled_from(kinds)), rows, codes, gains, generator)
    sigma = torch.tensor(scale * draw(st.sampled_from([1.0, 0.3, 1.7])))
    z = (z + offset) * sigma.double()
    limits = Limits(
        torch.rand(rows, generator=generator).double()
        * draw(st.sampled_from([0.0, 0.0, 1.0, 5.0, torch.inf])),
        torch.randint(depth + 1, (rows,), generator=generator)
        if draw(st.booleans())
        else torch.full((rows,), depth),
        draw(st.sampled_from([0, 0, 1, depth])),
        draw(st.sampled_from([0.0, 0.0, 0.05, 0.5])),
        draw(st.sampled_from([True, True, False])),
    )
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    return z.to(dtype), codes, gains, sigma, limits._replace(threshold=finite(limits.threshold))


def finite(threshold):
    return threshold.nan_to_num(torch.inf, posinf=torch.inf)  # 0 times infinity


@settings(max_examples=200, deadline=None)
@given(problems())
def test_every_way_gives_the_same(problem):
    assert_all_equal(every_way(*problem))


@pytest.mark.parametrize("ratio", [1.0, 0.97, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_64_turns_from_the_gram_matrix_are_those_of_64_searches(ratio, dtype):
    generator = torch.Generator().manual_seed(1)
    codes = torch.randn(100, 8, generator=generator)
    z = 4 * torch.randn(150, 8, generator=generator, dtype=dtype)
    gains = ratio ** torch.arange(64.0)
    walks = every_way(z, codes, gains, torch.tensor(0.7), limits_for(150, depth=64))
    assert_all_equal(walks)
    assert (walks["compiled"].lengths == 64).all()
    assert (walks["compiled"].codes >= 0).sum() > 64


@pytest.mark.parametrize("size", [1, 63, 64, 65, 128, 129])
def test_padding_is_never_chosen(size):
    generator = torch.Generator().manual_seed(size)
    codes = 50 + torch.randn(size, 3, generator=generator)
    z = torch.cat([torch.full((5, 3), 0.1), -1e4 * torch.rand(5, 3, generator=generator)])
    limits = limits_for(10, depth=4, dummies=False)
    walks = every_way(z, codes, torch.tensor([1.0, 0.5, 0.5, 0.01]), torch.tensor(1.0), limits)
    assert_all_equal(walks)
    assert ((walks["compiled"].codes >= 0) & (walks["compiled"].codes < size)).all()


def test_of_equal_codes_the_first_is_taken():
    generator = torch.Generator().manual_seed(0)
    few = torch.randn(7, 5, generator=generator)
    z = few.repeat(3, 1) + 0.01 * torch.randn(21, 5, generator=generator)
    gains = torch.tensor([1.0, 0.5, 0.25])
    walks = every_way(z, few.repeat(30, 1), gains, torch.tensor(1.0), limits_for(21))
    assert_all_equal(walks)
    assert walks["compiled"].codes.max() < 7


def test_a_code_that_changes_nothing_gives_way_to_continue(run):
    z = torch.randn(200, 23, generator=torch.Generator().manual_seed(0))
    for dtype in (torch.float32, torch.float64):
        found = run(z.to(dtype), torch.zeros(3, 23), torch.ones(6))
        assert (found.codes == CONTINUE).all()
    # A step so small that the float32 sum stays what it is.
    small = 1e-7 * torch.randn(9, 23, generator=torch.Generator().manual_seed(1))
    codes = torch.cat([1e4 * torch.ones(1, 23), small])
    found = run(z + 1.1e4, codes, torch.ones(5))
    assert (found.codes[:, 0] == 0).all()
    assert (found.codes[:, 1:] == CONTINUE).all()


@pytest.fixture
def threads():
    """Set the number of torch's threads; put back afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def crowded(rows, seed=0):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randn(70, 6, generator=generator)
    first, second = codes[torch.randint(70, (2, rows), generator=generator)]
    return (first + second) / 2, codes, 0.6 ** torch.arange(6.0)


@pytest.mark.parametrize("with_gram", [True, False])
def test_one_thread_and_two_give_the_same(threads, with_gram):
    z, codes, gains = crowded(3000)
    limits, walks = limits_for(3000, 0.6), []
    for count in (1, 2, 3):
        threads(count)
        walks.append(compiled(z, codes, gains, torch.tensor(1.0), limits, with_gram))
    for found in walks[1:]:
        assert all(torch.equal(one, other) for one, other in zip(found, walks[0], strict=True))
    assert len(walks[0].lengths.unique()) > 1


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_blocks_of_another_size_give_the_same(monkeypatch, rows):
    z, codes, gains = crowded(500)
    expected = compiled(z, codes, gains, torch.tensor(1.0), limits_for(500, 0.6))
    monkeypatch.setattr(compiled_path(), "_FEWEST_ROWS", rows)
    monkeypatch.setattr(compiled_path(), "_SCORES_PER_BLOCK", 1)
    found = compiled(z, codes, gains, torch.tensor(1.0), limits_for(500, 0.6))
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_strides_change_nothing_and_nothing_is_written_to():
    z, codes, gains = crowded(200)
    limits = limits_for(400, 0.6)
    limits = Limits(limits.threshold[::2], limits.depth[::2])
    kept = [value.clone() for value in (z, codes, gains, *limits[:2])]
    expected = compiled(z, codes, gains, torch.tensor(1.0), limits)
    wide = torch.stack([z, -z], dim=2)[:, :, 0]
    books = codes.T.contiguous().T
    found = compiled(wide, books, gains.repeat(2)[:6], torch.tensor(1.0), limits)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    for value, before in zip((z, codes, gains, *limits[:2]), kept, strict=True):
        assert torch.equal(value, before)


def test_vectors_that_are_left_out_may_hold_anything():
    z, codes, gains = crowded(10)
    z[3] = torch.nan
    z[4] = torch.inf
    limits = limits_for(10, 0.6)
    limits.depth[3:5] = 0
    found = compiled(z, codes, gains, torch.tensor(1.0), limits)
    others = torch.tensor([0, 1, 2, 5, 6, 7, 8, 9])
    alone = compiled(z[others], codes, gains, torch.tensor(1.0), limits.of(others))
    assert torch.equal(found.codes[others], alone.codes)
    assert (found.codes[3:5] == PAD).all()
    assert not found.reached[3:5].any()
