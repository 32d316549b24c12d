"""Options that the drawing commands share; test_sample and test_complete run them whole."""

import argparse

import pytest

from loopyvq.cli.drawing import add_drawing, size_of, told_in_one_line, wished_sampling
from loopyvq.errors import ConfigError, DataError


def test_options_become_a_way_to_choose_tokens():
    parser = argparse.ArgumentParser()
    add_drawing(parser)
    words = ["prior", "--top-p", "0.9", "--turn-temperatures", "1", "0.5", "--tokens", "40"]
    found = wished_sampling(parser.parse_args(words))
    assert found.top_p == 0.9
    assert found.turn_temperatures == (1.0, 0.5)
    assert found.length_budget == 40
    assert found.stop_temperature is None


@pytest.mark.parametrize("words", ["", "x", "64x", "6.4", "-3", "1x2x3", "0x8"])
def test_words_that_are_no_size(words):
    with pytest.raises(ConfigError, match="--size must be a height and a width"):
        size_of(words, "--size")


def test_errors_of_the_library_become_one_line():
    with pytest.raises(ConfigError, match="too long"), told_in_one_line():
        raise ValueError("too long")
    with pytest.raises(DataError), told_in_one_line():
        raise DataError("broken")
    with pytest.raises(KeyError), told_in_one_line():
        raise KeyError("a mistake of ours")
