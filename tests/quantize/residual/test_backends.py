import importlib.util
import sys

import pytest
import torch

from loopyvq.ops.kernels import can_import_kernels
from loopyvq.quantize import residual
from loopyvq.quantize.residual import Costs, Limits, TableCache, backends, beam_walk, residual_walk
from loopyvq.quantize.residual.backends import (
    compiled_path,
    has_numba,
    prefers_compiled,
    prefers_gram,
)


def problem():
    generator = torch.Generator().manual_seed(0)
    latents, codes = torch.randn(2, 30, 3, generator=generator)
    limits = Limits(torch.full((30,), 0.3).double(), torch.full((30,), 4))
    return latents, codes, 0.7 ** torch.arange(4.0), torch.tensor(1.0), limits


def refuse(*args):
    raise AssertionError("another way was to be taken")


@pytest.mark.parametrize(
    ("rows", "turns", "size", "expected"),
    [
        (1000, 8, 512, True),
        (1000, 1, 512, False),
        (512, 2, 512, False),
        (513, 2, 512, True),
        (10**6, 8, 4096, True),
        (10**6, 8, 4097, False),
        (0, 8, 1, False),
    ],
)
def test_a_gram_matrix_must_pay_for_itself(rows, turns, size, expected):
    latents, codes = torch.zeros(1).expand(rows, 1), torch.zeros(size, 1)
    assert prefers_gram(latents, codes, torch.ones(turns)) == expected


def test_the_compiled_kernel_serves_the_cpu_outside_of_graphs(monkeypatch):
    assert prefers_compiled(torch.zeros(2, 3)) == has_numba()
    assert not prefers_compiled(torch.zeros(2, 3, device="meta"))
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert not prefers_compiled(torch.zeros(2, 3))


@pytest.mark.skipif(not has_numba(), reason="needs numba: pip install 'loopyvq[fast]'")
def test_with_numba_the_kernel_runs_and_its_table_is_kept(monkeypatch):
    monkeypatch.setattr(residual, "direct_walk", refuse)
    monkeypatch.setattr(residual, "dense_walk", refuse)
    _, codes, gains, *_ = problem()
    cache = TableCache()
    first = residual_walk(*problem(), cache)
    table = cache.get(codes, gains, with_gram=True)
    assert table is not None
    monkeypatch.setattr(residual.GramTable, "build", refuse)
    again = residual_walk(*problem(), cache)
    assert cache.get(codes, gains, with_gram=True) is table
    assert torch.equal(first.codes, again.codes)


def test_without_numba_the_plain_way_gives_the_same(monkeypatch):
    costs = Costs(torch.zeros(30).double(), torch.ones(30), 1.0)
    expected = residual_walk(*problem()), beam_walk(*problem(), 3, costs)
    monkeypatch.setattr(backends, "has_numba", lambda: False)
    monkeypatch.setattr(residual, "compiled_path", refuse)
    monkeypatch.setattr(residual, "dense_walk", refuse)
    for found, other in zip(
        (residual_walk(*problem()), beam_walk(*problem(), 3, costs)), expected, strict=True
    ):
        assert torch.equal(found.codes, other.codes)
        assert torch.equal(found.lengths, other.lengths)
        torch.testing.assert_close(found.norms, other.norms, rtol=1e-12, atol=0)


def test_where_a_graph_is_traced_the_dense_way_is_taken(monkeypatch):
    expected = residual_walk(*problem())
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    monkeypatch.setattr(residual, "compiled_path", refuse)
    monkeypatch.setattr(residual, "direct_walk", refuse)
    assert torch.equal(residual_walk(*problem()).codes, expected.codes)


def test_a_machine_without_numba_is_noticed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    can_import_kernels.cache_clear()
    try:
        assert not has_numba()
    finally:
        can_import_kernels.cache_clear()


@pytest.mark.skipif(not has_numba(), reason="needs numba: pip install 'loopyvq[fast]'")
def test_the_compiled_path_is_imported_once():
    assert compiled_path() is compiled_path()
    assert compiled_path().MULTIPLE % 16 == 0


def test_the_kernel_is_loaded_when_it_would_have_paid(monkeypatch):
    import loopyvq.quantize.residual.backends as backends

    one_vector = (torch.zeros(1, 1), torch.zeros(1, 1), torch.ones(1))
    assert backends.is_worth_loading(*one_vector) == has_numba()
    monkeypatch.delitem(sys.modules, backends._COMPILED, raising=False)
    monkeypatch.setattr(backends, "_work", [0])
    one_photograph = (torch.zeros(6144, 48), torch.zeros(640, 48), torch.ones(20))
    assert not backends.is_worth_loading(*one_photograph)
    assert backends.is_worth_loading(*one_photograph)
    monkeypatch.setattr(backends, "_work", [0])
    monkeypatch.setitem(sys.modules, backends._COMPILED, residual)
    assert backends.is_worth_loading(*one_vector)
