import runpy
import sys

import pytest

from loopyvq import __version__


def test_the_module_is_the_command_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["loopyvq", "--version"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("loopyvq", run_name="__main__")
    assert stop.value.code == 0
    assert __version__ in capsys.readouterr().out
