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


def test_a_demo_of_a_prior_is_another_one(run, monkeypatch):
    import loopyvq.demo.generation

    asked = {}

    def run_generation(folder, data, *, seconds, quiet):
        asked.update(folder=Path(folder), data=data, seconds=seconds, quiet=quiet)
        raise StoppedError

    monkeypatch.setattr(loopyvq.demo.generation, "run_generation", run_generation)
    with pytest.raises(StoppedError):
        run("demo", "--generate", "--out", "somewhere")
    wanted = {"folder": Path("somewhere"), "data": "samples", "seconds": 270.0, "quiet": False}
    assert asked == wanted
    code, _, err = run("demo", "--data", "photos")
    assert code == 2
    assert "--data is for --generate" in err
