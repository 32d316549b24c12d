import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from loopyvq.config import config_changes, config_to_dict, parse_config, read_yaml, require_numbers
from loopyvq.errors import ConfigError
from loopyvq.training import (
    PriorTrainingConfig,
    SegmentationTrainingConfig,
    TokenizerTrainingConfig,
    VqganTrainingConfig,
)

KINDS = {
    "prior": PriorTrainingConfig,
    "segmentation": SegmentationTrainingConfig,
    "vqgan": VqganTrainingConfig,
}
PRESETS = sorted((Path(__file__).resolve().parents[1] / "configs").glob("*.yaml"))


@dataclass(frozen=True)
class InnerConfig:
    size: int = 3
    mode: Literal["a", "b"] = "a"

    def __post_init__(self):
        require_numbers(self, "at least 1", "size")


@dataclass(frozen=True)
class OuterConfig:
    inner: InnerConfig = field(default_factory=InnerConfig)
    rate: float = 0.5
    widths: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class RealConfig:
    real: float = 1.0
    most: float = math.inf
    some: float | None = None
    reals: tuple[float, ...] = (1.0,)


@dataclass(frozen=True)
class HolderConfig:
    held: RealConfig = field(default_factory=RealConfig)


def test_overrides_win_over_values_and_values_over_defaults():
    config = parse_config(
        OuterConfig, {"rate": 0.1, "inner": {"size": 5}}, ["--rate", "0.2", "--widths", "[4]"]
    )
    assert config == OuterConfig(InnerConfig(5), 0.2, (4,))


@pytest.mark.parametrize(
    ("values", "words", "message"),
    [
        ({"inner": {"sizes": 5}}, [], "does not accept option 'inner.sizes'"),
        ({"inner": {"size": "many"}}, [], "inner.size: Expected a int. Got value: many"),
        ({"inner": {"size": 0}}, [], "at least 1, got 0"),
        ({"inner": {"mode": "c"}}, [], "inner.mode"),
        ({"inner": 3}, [], "inner must be a mapping"),
        ({}, ["--rates", "1"], "--rates"),
        ({}, ["--rate"], "--rate: expected one argument"),
        ({}, ["rate"], "rate"),
    ],
)
def test_mistakes_are_named_in_one_line(values, words, message):
    with pytest.raises(ConfigError, match=message) as caught:
        parse_config(OuterConfig, values, words)
    assert "\n" not in str(caught.value)
    assert "config." not in str(caught.value)


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf"])
@pytest.mark.parametrize("name", ["real", "some", "reals"])
def test_numbers_that_are_not_finite_are_refused(name, value):
    number = float(value.replace(".", ""))
    given = (number,) if name == "reals" else number
    with pytest.raises(ConfigError, match=f"held.{name} must be finite, got"):
        parse_config(HolderConfig, {"held": {name: given}})
    word = f"[{value}]" if name == "reals" else value
    with pytest.raises(ConfigError, match=f"held.{name} must be finite, got"):
        parse_config(HolderConfig, overrides=[f"--held.{name}={word}"])


def test_an_option_that_is_infinite_by_default_may_be():
    assert parse_config(HolderConfig) == HolderConfig()
    assert parse_config(RealConfig, {"most": -math.inf}).most == -math.inf


def test_one_parse_leaves_nothing_to_the_next():
    first = parse_config(OuterConfig)
    with pytest.raises(ConfigError):
        parse_config(OuterConfig, {"nothing_of_the_kind": 1})
    changed = [parse_config(OuterConfig, config_to_dict(first)) for _ in range(2)]
    assert parse_config(OuterConfig, overrides=["--inner.size", "7"]).inner.size == 7
    assert parse_config(OuterConfig) == first == changed[0] == changed[1]


def test_a_config_survives_being_written_and_read():
    config = OuterConfig(InnerConfig(7, "b"), 0.25, (3, 4, 5))
    assert parse_config(OuterConfig, config_to_dict(config)) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [("- 1\n- 2\n", "mapping"), ("a: [1\n", "not valid YAML"), ("\xff", "mapping")],
)
def test_files_that_are_no_config_are_refused(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_yaml(path)


def test_missing_binary_and_empty_files(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_yaml(tmp_path / "binary.yaml")
    (tmp_path / "empty.yaml").touch()
    assert read_yaml(tmp_path / "empty.yaml") == {}


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_every_shipped_config_loads(preset):
    kind = KINDS.get(preset.stem.partition("_")[0], TokenizerTrainingConfig)
    config = parse_config(kind, read_yaml(preset))
    assert parse_config(kind, config_to_dict(config)) == config


def test_there_are_presets():
    assert {"small", "medium", "large"} <= {preset.stem for preset in PRESETS}


def test_changes_leave_out_what_options_are_anyway():
    assert config_changes(OuterConfig()) == {}
    changed = OuterConfig(inner=InnerConfig(size=5))
    assert config_changes(changed) == {"inner": {"size": 5}}
    assert parse_config(OuterConfig, config_changes(changed)) == changed


def test_names_are_given_in_full():
    with pytest.raises(ConfigError, match="siz"):
        parse_config(OuterConfig, overrides=["--inner.siz", "5"])


@pytest.mark.parametrize(
    ("wanted", "inside", "outside"),
    [
        ("at least 1", (1, math.inf), (0, 0.5)),
        ("0 or more", (0, math.inf), (-1,)),
        ("a finite number of at least 0", (0.0, 1e30), (-1, math.inf)),
        ("above 0", (1e-9, math.inf), (0,)),
        ("within [0, 1]", (0, 1), (-0.1, 1.1)),
        ("within [0, 1)", (0, 0.9), (-0.1, 1)),
        ("within (0, 1]", (0.1, 1), (0, 1.1)),
    ],
)
def test_numbers_are_inside_what_the_words_say(wanted, inside, outside):
    for value in inside:
        require_numbers(RealConfig(value), wanted, "real")
    for value in (*outside, math.nan):
        with pytest.raises(ConfigError, match=re.escape(f"real must be {wanted}, got {value}")):
            require_numbers(RealConfig(value), wanted, "real")
