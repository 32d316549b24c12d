"""The plain way, against the loop as it is written down, one vector after the other."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.ops.nearest import nearest_code
from loopyvq.quantize.residual import Limits, dense_walk, direct, direct_walk
from loopyvq.tokens import CONTINUE, PAD


def literal_walk(vector, codes, gains, sigma, threshold, depth, limits):
    """Follow the words of `loopyvq.quantize.residual`; give symbols and errors."""
    total, symbols, unit = torch.zeros_like(vector), [], sigma.double()

    def error(summed):
        return (vector.double() - (summed * sigma).double()) / unit

    norms = [error(total).norm()]
    for turn in range(depth):
        if norms[-1] <= threshold and turn >= limits.min_length:
            break
        left = error(total)
        distances = [(left - (gains[turn] * code).double()).square().sum() for code in codes]
        best = int(torch.stack(distances).argmin())
        candidate = total + gains[turn] * codes[best]
        helps = error(candidate).square().sum() < (1 - limits.min_gain) * left.square().sum()
        if helps or not limits.dummies:
            total = candidate
        symbols.append(best if helps or not limits.dummies else CONTINUE)
        norms.append(error(total).norm())
    return symbols, torch.stack(norms)


@pytest.mark.parametrize("walk", [direct_walk, dense_walk])
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    size=st.integers(1, 9),
    width=st.integers(1, 5),
    depth=st.integers(1, 6),
    min_length=st.integers(0, 2),
    min_gain=st.sampled_from([0.0, 0.3]),
    dummies=st.booleans(),
    sigma=st.sampled_from([1e-3, 0.7, 1e3]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_equals_the_loop_as_it_is_written_down(
    walk, seed, size, width, depth, min_length, min_gain, dummies, sigma, dtype
):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randn(size, width, generator=generator)
    gains, unit = 0.7 ** torch.arange(float(depth)), torch.tensor(sigma)
    z = (2 * torch.randn(8, width, generator=generator, dtype=torch.float64) * sigma).to(dtype)
    thresholds = torch.rand(8, generator=generator).double() * 2
    depths = torch.randint(depth + 1, (8,), generator=generator)
    limits = Limits(thresholds, depths, min(min_length, depth), min_gain, dummies)
    found = walk(z, gains[:, None, None] * codes, unit, limits)
    for row in range(8):
        most = int(depths[row])
        symbols, norms = literal_walk(z[row], codes, gains, unit, thresholds[row], most, limits)
        length = len(symbols)
        assert found.codes[row].tolist() == symbols + [PAD] * (depth - length)
        assert found.lengths[row] == length
        torch.testing.assert_close(found.norms[row, : length + 1], norms, rtol=1e-12, atol=1e-15)
        assert (found.norms[row, length:] == found.norms[row, length]).all()
        assert found.reached[row] == (found.norms[row, -1] <= thresholds[row])


def test_only_vectors_that_are_still_going_are_searched_for(monkeypatch):
    searched = []

    def count(vectors, codebook):
        searched.append(len(vectors))
        return nearest_code(vectors, codebook)

    monkeypatch.setattr(direct, "nearest_code", count)
    z = torch.tensor([[1.0], [1.5], [1.75], [0.0], [9.0]])
    books = torch.tensor([1.0, 0.5, 0.25, 0.125])[:, None, None] * torch.ones(1, 1)
    limits = Limits(torch.zeros(5).double(), torch.tensor([4, 4, 4, 4, 0]))
    found = direct_walk(z, books, torch.tensor(1.0), limits)
    assert found.lengths.tolist() == [1, 2, 3, 0, 0]
    assert searched == [3, 2, 1]
