import importlib
import importlib.util

import pytest

from loopyvq.ops.kernels import can_import_kernels


@pytest.fixture(autouse=True)
def _afresh():
    can_import_kernels.cache_clear()
    yield
    can_import_kernels.cache_clear()


@pytest.mark.parametrize("is_there", [True, False])
def test_kernels_are_there_where_numba_is(monkeypatch, is_there):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: importlib if is_there else None)
    assert can_import_kernels("loopyvq.errors") is is_there


def test_a_broken_numba_is_said_once_and_done_without(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: importlib)
    with pytest.warns(RuntimeWarning, match="numba is installed but cannot be used"):
        assert not can_import_kernels("loopyvq.nothing_of_this_name")
    assert not can_import_kernels("loopyvq.nothing_of_this_name")
