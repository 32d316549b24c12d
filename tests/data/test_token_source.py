import dataclasses

import pytest

from loopyvq.config import config_to_dict, parse_config
from loopyvq.data.boxes import BoxConfig
from loopyvq.data.token_source import TokenSource
from loopyvq.errors import ConfigError


def test_a_source_survives_json_and_counts():
    source = TokenSource(
        "ab", "../tok/best", 16, 4, rows=2, columns=3, height=16, width=24, classes=2,
        class_names=("ant", "bee"), box_classes=3, boxes=BoxConfig(num_boxes=2, bins=8),
    )  # fmt: skip
    assert parse_config(TokenSource, config_to_dict(source)) == source
    assert (source.num_sites, source.num_pixels) == (6, 384)
    assert source.tokenizer_file("runs/prior").as_posix() == "runs/prior/../tok/best"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": 0}, "rows must be at least 1"),
        ({"max_depth": 256}, "up to 255"),
        ({"min_length": 2}, "lengths must be within"),
        ({"threshold": -1.0}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"box_classes": -1}, "box_classes"),
        ({"classes": 3, "class_names": ("one",)}, "3 classes cannot have 1 names"),
    ],
)
def test_values_out_of_range_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(TokenSource(), **changes)
