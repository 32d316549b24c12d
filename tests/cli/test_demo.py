"""What the command passes on; tests/demo run the demonstrations whole."""

from pathlib import Path

import pytest

import loopyvq.demo.compression
import loopyvq.demo.generation
import loopyvq.demo.report
import loopyvq.demo.run


class StoppedError(Exception):
    pass


@pytest.fixture
def asked(monkeypatch):
    """Record what a demonstration is asked for, and stop there."""
    found = {}

    def stand_in(module, name):
        def stop(folder, *rest, **options):
            found.update(name=name, folder=Path(folder), rest=rest, **options)
            raise StoppedError

        monkeypatch.setattr(module, name, stop)

    stand_in(loopyvq.demo.compression, "run_compression")
    stand_in(loopyvq.demo.run, "run_demo")
    stand_in(loopyvq.demo.generation, "run_generation")
    return found


def test_without_more_words_the_model_in_the_box_is_shown(run, asked):
    with pytest.raises(StoppedError):
        run("demo")
    wanted = {"name": "run_compression", "folder": Path("runs/demo"), "rest": (), "quiet": False}
    assert asked == wanted


def test_the_options_reach_the_training(run, asked):
    with pytest.raises(StoppedError):
        run("demo", "--train", "--out", "somewhere", "--seconds", 7, "--quiet")
    wanted = {"folder": Path("somewhere"), "seconds": 7.0, "quiet": True}
    assert asked == {"name": "run_demo", "rest": (), **wanted}


def test_a_training_lasts_two_minutes_and_replaces_no_other_page(run, asked):
    with pytest.raises(StoppedError):
        run("demo", "--train")
    assert (asked["folder"], asked["seconds"]) == (Path("runs/demo-train"), 120.0)


def test_a_demo_of_a_prior_is_another_one(run, asked):
    with pytest.raises(StoppedError):
        run("demo", "--generate", "--out", "somewhere")
    wanted = {"folder": Path("somewhere"), "rest": ("samples",), "seconds": 270.0, "quiet": False}
    assert asked == {"name": "run_generation", **wanted}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--minutes", "3"), "unrecognized arguments: --minutes 3"),
        (("--seconds", "3"), "give it with --train or --generate"),
        (("--data", "photos"), "--data is for --generate"),
        (("--train", "--data", "photos"), "--data is for --generate"),
        (("--train", "--generate"), "not allowed with argument --train"),
    ],
)
def test_words_that_do_not_belong_are_refused(run, asked, words, line):
    code, _, err = run("demo", *words)
    assert code == 2
    assert line in err
    assert asked == {}
