import pytest

from loopyvq.cli.wishes import read_known
from loopyvq.errors import ConfigError


def test_a_condition_is_read_as_at_training():
    words = ["--condition.half", "right", "--condition.labels.num_labels", "12"]
    known = read_known("segmentation", words, "", 2, maps="facades.zip")
    assert known.data.half == "right"
    assert known.data.maps == ""
    assert known.data.labels.num_labels == 12
    assert known.cells == 2


def test_maps_may_come_alone():
    assert read_known("segmentation", [], "", 1, maps="maps").data.maps == "maps"
    words = ["--condition.maps", "others"]
    assert read_known("segmentation", words, "", 1, maps="maps").data.maps == "others"


def test_options_of_something_else():
    with pytest.raises(ConfigError, match="unknown option --half"):
        read_known("segmentation", ["--half", "right"], "", 1)
    with pytest.raises(ConfigError, match="colour"):
        read_known("segmentation", ["--condition.colour", "red"], "", 1)
