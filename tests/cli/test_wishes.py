import pytest

from loopyvq.cli.wishes import known_as_trained, read_known
from loopyvq.data import BoxConfig
from loopyvq.data.token_source import ConditionSource, TokenSource
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


def test_boxes_are_read_as_the_prior_knows_them():
    boxes = BoxConfig(num_boxes=4, bins=32)
    source = TokenSource(condition="boxes", box_classes=12, boxes=boxes)
    words = ["--condition.half", "right", "--condition.labels.palette", "cmp_facades"]
    data = known_as_trained("prior", source, words, "", 1, "facades.zip").data
    assert (data.boxes, data.half, data.maps) == (boxes, "right", "")
    assert (data.labels.num_labels, data.labels.palette) == (12, "cmp_facades")
    for more in (["--condition.boxes.bins", "64"], ["--condition.labels.num_labels", "13"]):
        with pytest.raises(ConfigError, match=r"leave out --condition\.boxes"):
            known_as_trained("prior", source, [*words, *more], "", 1)


def test_other_conditions_are_read_with_their_tokenizer(tmp_path):
    (tmp_path / "best.safetensors").touch()
    source = TokenSource(condition="edges", symbols=17, condition_path="../edges.safetensors")
    path = str(tmp_path / "best.safetensors")
    known = known_as_trained(path, source, ["--condition.edge_sigma", "3"], "", 1)
    assert known.tokenizer == str(tmp_path / "../edges.safetensors")
    assert known.data.edge_sigma == 3
    assert known_as_trained(path, source, [], "mine", 1).tokenizer == "mine"


def test_what_options_leave_open_is_as_at_the_training():
    told = ConditionSource(cells=1, edges="canny", edge_sigma=1.5, factor=8, enlarge=False)
    source = TokenSource(condition="edges", symbols=17, told=told)
    data = known_as_trained("prior", source, [], "mine", None).data
    assert (data.edges, data.edge_sigma, data.factor, data.enlarge) == ("canny", 1.5, 8, False)
    told = ConditionSource(cells=2)
    source = TokenSource(condition="segmentation", symbols=12, told=told)
    known = known_as_trained("prior", source, [], "", None, "maps")
    assert (known.cells, known.data.labels.num_labels) == (2, 12)
    assert known_as_trained("prior", source, [], "", 4, "maps").cells == 4
    older = TokenSource(condition="segmentation", symbols=12)
    assert known_as_trained("prior", older, [], "", None, "maps").cells == 1
