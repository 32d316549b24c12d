import pytest
import torch

from loopyvq.errors import ConfigError
from loopyvq.training import precision
from loopyvq.training.precision import resolve_precision


def test_what_is_asked_for_is_kept():
    assert resolve_precision("32-true", "cpu") == "32-true"
    with pytest.raises(ConfigError, match="8-bit"):
        resolve_precision("8-bit", "cpu")


@pytest.mark.parametrize(("has", "chosen"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_takes_bf16_only_where_the_cpu_has_it(monkeypatch, has, chosen):
    monkeypatch.setattr(precision, "_cpu_has_bf16", lambda: has)
    assert resolve_precision("auto", "cpu") == chosen


def test_the_gpu_decides_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert resolve_precision("auto", "auto") == "16-mixed"
