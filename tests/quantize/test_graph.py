"""The operators that a compiled graph calls, called here without one."""

import copy
import gc
import pickle

import pytest
import torch

from loopyvq.quantize import LoopConfig, LoopQuantizer, graph
from loopyvq.quantize.residual import Limits

SMALL = {"codebook_size": 8, "codebook_dim": 3, "max_depth": 4, "start_iterations": 2}


def latents(rows=60, seed=0):
    return torch.randn(rows, 3, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def loop():
    return LoopQuantizer.fit(latents(), LoopConfig(**SMALL))


def copies_of(loop):
    return [tensor.detach().clone() for tensor in graph._state(loop)]


def limits(rows=60):
    return Limits(torch.full((rows,), 0.2).double(), torch.full((rows,), 4))


def test_every_loop_has_a_number_of_its_own(loop):
    twins = [copy.deepcopy(loop), pickle.loads(pickle.dumps(loop)), copy.copy(loop)]
    numbers = [each.number for each in (loop, *twins, LoopQuantizer(LoopConfig(**SMALL)))]
    assert len(set(numbers)) == 5
    assert all(graph._LOOPS[each.number] is each for each in (loop, *twins))


def test_a_loop_that_is_gone_leaves_the_table(loop):
    twin = copy.deepcopy(loop)
    number = twin.number
    assert number in graph._LOOPS
    del twin
    gc.collect()
    assert number not in graph._LOOPS
    assert loop.number in graph._LOOPS


def test_the_state_holds_every_tensor_once(loop):
    named = dict(loop.named_parameters()) | dict(loop.named_buffers())
    assert sorted(map(id, graph._state(loop))) == sorted(map(id, named.values()))


def test_what_is_lent_is_worked_on_and_given_back(loop):
    own, lent = graph._state(loop), copies_of(loop)
    before = copies_of(loop)
    with graph._lent(loop.number, lent) as same:
        assert same is loop
        assert all(one is other for one, other in zip(graph._state(loop), lent, strict=True))
        loop.codebook.weight.mul_(2)
    assert all(one is other for one, other in zip(graph._state(loop), own, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(own, before, strict=True))
    assert sum(not torch.equal(one, other) for one, other in zip(lent, own, strict=True)) == 1


def test_an_error_gives_back_what_was_lent(loop):
    own = graph._state(loop)
    with pytest.raises(ZeroDivisionError), graph._lent(loop.number, copies_of(loop)):
        raise ZeroDivisionError
    assert all(one is other for one, other in zip(graph._state(loop), own, strict=True))


def test_an_operator_that_fails_gives_back_what_was_lent(loop, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    own = graph._state(loop)
    monkeypatch.setattr(loop, "learn", fail)
    rows = torch.ones(60, dtype=torch.bool), torch.zeros(60, 4, dtype=torch.int64)
    with pytest.raises(ZeroDivisionError):
        graph._learn(loop.number, latents(), *rows, copies_of(loop))
    assert all(one is other for one, other in zip(graph._state(loop), own, strict=True))


def test_state_of_another_loop_is_refused(loop):
    own = graph._state(loop)
    with pytest.raises(ValueError, match="shorter"), graph._lent(loop.number, own[:-1]):
        pass
    assert all(one is other for one, other in zip(graph._state(loop), own, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_operator_settles_as_the_loop_does(loop, dtype):
    z, state = latents(seed=1).to(dtype), graph._state(loop)
    expected = loop.settle(z, limits())
    found = graph._settle(loop.number, z, limits().threshold, limits().depth, state)
    for one, other in zip(found, (*expected.walk, *expected[1:]), strict=True):
        assert torch.equal(one, other)


def test_what_is_settled_is_safe_from_what_follows(loop):
    found = graph.settle(loop, latents(), limits())
    kept = [found.sigma.clone(), found.codes.clone()]
    loop.codebook.weight.mul_(3)
    loop.scale.sigma.mul_(2)
    assert torch.equal(found.sigma, kept[0])
    assert torch.equal(found.codes, kept[1])


def test_the_operators_learn_in_the_tensors_they_are_given(loop):
    expected, z = copy.deepcopy(loop), latents(seed=1)
    valid, codes = torch.ones(60, dtype=torch.bool), loop.walk(z, limits()).codes
    expected.learn(z, valid, codes)
    before, lent = copies_of(loop), copies_of(loop)
    graph._learn(loop.number, z, valid, codes, lent)
    for own, kept, learned, wanted in zip(
        graph._state(loop), before, lent, graph._state(expected), strict=True
    ):
        assert torch.equal(own, kept)
        assert torch.equal(learned, wanted)


def test_the_operator_starts_a_loop_in_the_tensors_it_is_given():
    torch.manual_seed(0)
    loop = LoopQuantizer(LoopConfig(**SMALL)).train()
    lent = copies_of(loop)
    graph._start(loop.number, latents(), torch.ones(60, dtype=torch.bool), lent)
    assert not loop.codebook.initialised
    with graph._lent(loop.number, lent):
        assert loop.codebook.initialised


def test_the_shapes_that_a_compiler_is_told_are_true(loop):
    arguments = (loop.number, latents(), limits().threshold, limits().depth, graph._state(loop))
    tests = ("test_schema", "test_faketensor")
    torch.library.opcheck(graph._settle, arguments, test_utils=tests)


def test_outside_of_a_graph_the_methods_are_called(loop, monkeypatch):
    def refuse(*_):
        raise AssertionError("no operator is needed")

    for name in ("_settle", "_start", "_learn"):
        monkeypatch.setattr(graph, name, refuse)
    loop.train()(latents())
    loop.eval().encode(latents())
