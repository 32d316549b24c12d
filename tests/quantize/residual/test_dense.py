"""The way without a branch on data; that it gives the codes of the others is tested beside them."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from loopyvq.quantize.residual import Limits, dense_walk, direct_walk


def problem(rows=20, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(rows, 3, generator=generator, dtype=dtype)
    books = 0.7 ** torch.arange(5.0)[:, None, None] * torch.randn(9, 3, generator=generator)
    limits = Limits(torch.full((rows,), 0.3).double(), torch.arange(rows) % 6, 1, 0.01)
    return z, books, torch.tensor(0.8), limits


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_needs_no_values(dtype):
    with FakeTensorMode() as mode:
        z, books, sigma, limits = (
            torch.utils._pytree.tree_map_only(torch.Tensor, mode.from_tensor, part)
            for part in problem(dtype=dtype)
        )
        found = dense_walk(z, books, sigma, limits)
    expected = dense_walk(*problem(dtype=dtype))
    for fake, real in zip(found, expected, strict=True):
        assert fake.shape == real.shape
        assert fake.dtype == real.dtype


def test_a_graph_of_it_serves_other_values():
    z, books, sigma, limits = problem()

    def walk(z, threshold, depth):
        return tuple(dense_walk(z, books, sigma, Limits(threshold, depth)))

    graph = torch.fx.experimental.proxy_tensor.make_fx(walk)(z, limits.threshold, limits.depth)
    other = Limits(torch.rand(20).double(), 5 - limits.depth)
    expected = direct_walk(3 * z.flip(0), books, sigma, other)
    found = graph(3 * z.flip(0), other.threshold, other.depth)
    assert torch.equal(found[0], expected.codes)
    assert torch.equal(found[1], expected.lengths)


def test_of_codes_that_rounding_cannot_tell_apart_the_first_is_taken():
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(40, 7, generator=generator) + 100
    codes = codes[torch.randint(40, (200,), generator=generator)]
    first = (codes.unsqueeze(1) == codes).all(dim=2).int().argmax(dim=1)
    limits = Limits(torch.zeros(200).double(), torch.ones(200, dtype=torch.int64), dummies=False)
    found = dense_walk(codes, codes.unsqueeze(0), torch.tensor(1.0), limits)
    assert torch.equal(found.codes[:, 0], torch.where(found.lengths > 0, first, -1))
    assert (found.norms[:, 1] == 0).all()


def test_without_vectors_there_are_no_tokens():
    z, books, sigma, limits = problem(0)
    found = dense_walk(z, books, sigma, limits)
    assert found.codes.shape == (0, 5)
    assert found.norms.shape == (0, 6)
