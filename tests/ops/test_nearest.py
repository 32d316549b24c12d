import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.ops import nearest
from loopyvq.ops.nearest import nearest_code


def by_hand(vectors, codebook):
    """Search exhaustively in float64; numpy's argmin gives the lowest index among ties."""
    exact, codes = vectors.double().numpy(), codebook.double().numpy()
    distance = np.square(exact[:, None] - codes[None]).sum(axis=2)
    return torch.from_numpy(distance.argmin(axis=1))


@given(
    rows=st.integers(0, 40),
    size=st.integers(1, 30),
    width=st.integers(1, 9),
    offset=st.sampled_from([0.0, 1e3, -1e4]),
    scale=st.sampled_from([1e-4, 1.0, 1e4]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=150, deadline=None)
def test_equals_an_exhaustive_float64_search(rows, size, width, offset, scale, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    codebook = (torch.randn(size, width, generator=generator) + offset) * scale
    vectors = (torch.randn(rows, width, generator=generator, dtype=dtype) + offset) * scale
    assert torch.equal(nearest_code(vectors, codebook), by_hand(vectors, codebook))


@given(
    codes=st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2)), min_size=1, max_size=12),
    points=st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=1, max_size=12),
)
@settings(max_examples=150, deadline=None)
def test_exact_ties_on_a_grid_give_the_lowest_index(codes, points):
    codebook, vectors = torch.tensor(codes).float(), torch.tensor(points).float() / 2
    assert torch.equal(nearest_code(vectors, codebook), by_hand(vectors, codebook))


def near_ties():
    generator = torch.Generator().manual_seed(0)
    codebook = torch.randn(24, 6, generator=generator) + 100
    pairs = (codebook.unsqueeze(0) + codebook.unsqueeze(1)).reshape(-1, 6) / 2
    return pairs + 1e-5 * torch.randn(pairs.shape, generator=generator), codebook


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_the_answer_does_not_depend_on_the_batch_or_the_block(monkeypatch, rows):
    vectors, codebook = near_ties()
    expected = by_hand(vectors, codebook)
    parts = torch.cat([nearest_code(part, codebook) for part in vectors.split(rows)])
    assert torch.equal(parts, expected)
    monkeypatch.setattr(nearest, "_SCORES_PER_BLOCK", rows * len(codebook))
    assert torch.equal(nearest_code(vectors, codebook), expected)


def test_float32_alone_would_get_near_ties_wrong():
    vectors, codebook = near_ties()
    plain = torch.cdist(vectors, codebook).argmin(dim=1)
    assert (plain != by_hand(vectors, codebook)).any()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_rows_that_are_not_finite_get_some_code_and_disturb_no_other(bad):
    vectors, codebook = near_ties()
    expected = nearest_code(vectors, codebook)
    poisoned = vectors.clone()
    poisoned[::5, 2] = bad
    found = nearest_code(poisoned, codebook)
    kept = torch.arange(len(vectors)) % 5 > 0
    assert torch.equal(found[kept], expected[kept])
    assert ((found >= 0) & (found < len(codebook))).all()


def test_lower_precision_of_matrix_products_changes_nothing():
    vectors, codebook = near_ties()
    expected = by_hand(vectors, codebook)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(nearest_code(vectors, codebook), expected)
    precision = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert torch.equal(nearest_code(vectors, codebook), expected)
    finally:
        torch.set_float32_matmul_precision(precision)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_very_small_and_very_large_vectors_keep_their_codes(scale):
    generator = torch.Generator().manual_seed(0)
    codebook = torch.randn(9, 3, generator=generator) * scale
    vectors = torch.randn(200, 3, generator=generator) * scale
    assert torch.equal(nearest_code(vectors, codebook), by_hand(vectors, codebook))


def test_an_empty_codebook_is_refused():
    with pytest.raises(ValueError, match="codes of width 3"):
        nearest_code(torch.zeros(4, 3), torch.zeros(0, 3))


def test_the_codebook_needs_no_gradient():
    vectors, codebook = near_ties()
    found = nearest_code(vectors.requires_grad_(), codebook.requires_grad_())
    assert not found.requires_grad
    assert torch.equal(found, by_hand(vectors.detach(), codebook.detach()))
