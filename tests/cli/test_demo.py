"""What the command passes on; tests/demo/test_run.py runs it whole."""

from pathlib import Path

import pytest

import loopyvq.demo.report
import loopyvq.demo.run


class StoppedError(Exception):
    pass


def test_the_options_reach_the_demonstration(run, monkeypatch):
    asked = {}

    def run_demo(folder, *, seconds, quiet):
        asked.update(folder=Path(folder), seconds=seconds, quiet=quiet)
        raise StoppedError

    monkeypatch.setattr(loopyvq.demo.run, "run_demo", run_demo)
    with pytest.raises(StoppedError):
        run("demo", "--out", "somewhere", "--seconds", 7, "--quiet")
    assert asked == {"folder": Path("somewhere"), "seconds": 7.0, "quiet": True}


def test_words_that_are_no_options_are_refused(run):
    code, _, err = run("demo", "--minutes", "3")
    assert code == 2
    assert "unrecognized arguments: --minutes 3" in err
