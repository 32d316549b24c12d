import math

import pytest
import yaml

from loopyvq.errors import ConfigError
from loopyvq.interop.taming_config import (
    kind_of,
    mapping_at,
    model_section,
    number,
    read_model_section,
    tokenizer_config,
    whole_number,
)
from tests.interop.conftest import tokenizer_section


def test_a_section_becomes_a_config_and_back():
    config = tokenizer_config(tokenizer_section(), "x.yaml")
    assert (config.base_channels, config.multipliers, config.blocks) == (32, (1, 2), 1)
    assert (config.attention_levels, config.resolution, config.downsampling) == ((1,), 16, 2)
    assert (config.quantizer.codebook_size, config.quantizer.codebook_dim) == (16, 8)
    for kind in ("VQModel", "VQSegmentationModel", "GumbelVQ"):
        config = tokenizer_config(tokenizer_section(kind, kl_weight="1e-4"), "x.yaml")
        written = model_section(config)
        assert kind_of(written, "y") == kind
        assert tokenizer_config(written, "y") == config
    assert config.gumbel.kl_weight == 1e-4


def test_the_temperature_follows_the_schedule_of_the_file():
    values = {"lr_start": 0.2, "lr_max": "0.9", "lr_min": "1e-6", "warm_up_steps": 10}
    schedule = {"target": "taming.lr_scheduler.LambdaWarmUpCosineScheduler"}
    schedule["params"] = {**values, "max_decay_steps": 110}
    section = tokenizer_section("GumbelVQ", temperature_scheduler_config=schedule)
    gumbel = tokenizer_config(section, "x.yaml").gumbel
    assert gumbel.temperature_at(0) == pytest.approx(0.2)
    assert gumbel.temperature_at(10) == pytest.approx(0.9)
    assert gumbel.temperature_at(60) == pytest.approx(0.45, abs=1e-5)
    assert gumbel.temperature_at(500) == pytest.approx(1e-6)
    config = tokenizer_config(section, "x.yaml")
    assert tokenizer_config(model_section(config), "y").gumbel == gumbel
    without = tokenizer_config(tokenizer_section("GumbelVQ"), "x.yaml")
    assert without.gumbel.temperature_at(9) == 1.0
    again = tokenizer_config(model_section(without), "y").gumbel
    assert [again.temperature_at(step) for step in (0, 1, 9)] == [1.0] * 3


def test_paths_of_the_author_are_dropped(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump({"model": tokenizer_section(day=b"2020")}))
    section = read_model_section(path)
    assert "ckpt_path" not in section["params"]
    assert section["params"]["day"] == "b'2020'"  # what JSON cannot hold is text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"double_z": True}, "double_z can only be False"),
        ({"attn_type": "linear"}, "attn_type can only be vanilla"),
        ({"depth": 3}, "no option depth"),
        ({"out_ch": 1}, "must be equal"),
        ({"ch": "32"}, "ch must be a whole number, got 32"),
        ({"ch_mult": "1,2"}, "ch_mult must be a list of whole numbers"),
        ({"ch_mult": []}, "at least 1"),
        ({"resolution": 17}, "must be a multiple of 2"),
        ({"resolution": 0}, "at least 1"),
        ({"dropout": "much"}, "dropout must be a number"),
        ({"ch": 33}, "multiple of 32"),
    ],
)
def test_networks_that_cannot_be_say_why(changes, message):
    section = tokenizer_section()
    section["params"]["ddconfig"].update(changes)
    with pytest.raises(ConfigError, match=message):
        tokenizer_config(section, "x.yaml")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (tokenizer_section("EMAVQ"), "EMAVQ is none of VQModel"),
        (tokenizer_section("GumbelVQ", embed_dim=4), "of a GumbelVQ must be equal"),
        (tokenizer_section(embed_dim=0), "codebook_dim must be at least 1"),
        (tokenizer_section(n_embed=None), "n_embed must be a whole number"),
        (tokenizer_section(ddconfig=3), "no section ddconfig"),
        ({"params": {}}, "names no target"),
    ],
)
def test_models_that_cannot_be_say_why(section, message):
    with pytest.raises(ConfigError, match=message):
        tokenizer_config(section, "x.yaml")


def test_a_file_without_a_model_says_so(tmp_path):
    path = tmp_path / "x.yaml"
    for text, message in (("a: 1", "no section model"), ("model: {target: a.B}", "params")):
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            read_model_section(path)


def test_small_readers():
    assert mapping_at({"a": {"b": 1}}, "a", "x") == {"b": 1}
    assert whole_number({}, "n", "x", 5) == 5
    with pytest.raises(ConfigError, match="n must be a whole number, got True"):
        whole_number({"n": True}, "n", "x")
    assert number({"n": "1e-8"}, "n", 1.0, "x") == 1e-8
    assert number({}, "n", 0.5, "x") == 0.5
    for value in (None, "abc", [1], 10**400):
        with pytest.raises(ConfigError, match="x: n must be a number, got"):
            number({"n": value}, "n", 1.0, "x")
    for value in (math.nan, math.inf, "-inf"):
        with pytest.raises(ConfigError, match="x: n must be finite, got"):
            number({"n": value}, "n", 1.0, "x")
