import re
from dataclasses import replace

import pytest
import torch

from loopyvq.errors import CheckpointError
from loopyvq.interop.taming_config import tokenizer_config
from loopyvq.interop.taming_state import (
    require_names,
    require_shape,
    sort_names,
    taming_names,
    tokenizer_from_state,
    tokenizer_to_state,
)
from loopyvq.models import TamingConfig, Tokenizer
from loopyvq.models.taming import plain_quantizer
from tests.interop.conftest import KEYS, random_state, tokenizer_section, tokenizer_shapes


@pytest.mark.parametrize("kind", ["VQModel", "VQSegmentationModel", "GumbelVQ"])
def test_a_state_comes_back_to_the_last_bit(kind):
    channels = 5 if kind == "VQSegmentationModel" else 3
    config = tokenizer_config(tokenizer_section(kind, channels), "x.yaml")
    state = random_state(tokenizer_shapes(channels, gumbel=kind == "GumbelVQ"))
    tokenizer = tokenizer_from_state(config, state, "x.ckpt")
    assert not tokenizer.training
    back = tokenizer_to_state(tokenizer, "x.ckpt")
    assert back.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(back[name], tensor), name
        assert back[name].is_contiguous(), name


def test_the_codes_are_the_nearest_of_the_codebook():
    config = tokenizer_config(tokenizer_section(), "x.yaml")
    state = random_state(tokenizer_shapes())
    tokenizer = tokenizer_from_state(config, state, "x.ckpt")
    image = torch.rand(2, 3, 16, 20) * 2 - 1
    codes = tokenizer.encode(image).codes[..., 0]
    distance = torch.cdist(
        tokenizer.latents(image).flatten(1, 2), state["quantize.embedding.weight"]
    )
    assert torch.equal(codes.flatten(1), distance.argmin(dim=2))


def test_names_are_sorted_into_what_becomes_of_them():
    state = dict.fromkeys(
        ["encoder.a", "loss.perceptual_loss.b", "loss.perceptual_loss.c", "model_ema.d", "colorize"]
    )
    found = sort_names({**state, "loss.discriminator.main.0.weight": None})
    assert list(found.used) == ["encoder.a"]
    assert list(found.aside) == ["colorize", "loss.discriminator.main.0.weight"]
    assert found.dropped == {"LPIPS network": 2, "averaged copy of the weights": 1}


def test_wrong_names_shapes_and_numbers_give_one_line():
    config = tokenizer_config(tokenizer_section(), "x.yaml")
    state = random_state(tokenizer_shapes())
    name = "encoder.conv_in.weight"
    cases = [
        ({key: state[key] for key in state if key != name}, f"it lacks {name}"),
        ({**state, "more": state[name]}, "it also has more"),
        ({**state, name: torch.zeros(32, 1, 3, 3)}, f"{name} is (32, 1, 3, 3), expected (32, 3,"),
        (
            {**state, "quantize.embedding.weight": torch.full((16, 8), torch.nan)},
            "not finite",
        ),
    ]
    for bad, message in cases:
        with pytest.raises(CheckpointError, match=re.escape(message)) as caught:
            tokenizer_from_state(config, bad, "x.ckpt")
        assert "\n" not in str(caught.value)


def test_gumbel_scores_of_a_strange_shape_give_one_line():
    config = tokenizer_config(tokenizer_section("GumbelVQ"), "x.yaml")
    state = random_state(tokenizer_shapes(gumbel=True))
    for shape in ((), (16,), (16, 4, 2, 1), (16, 8, 3, 3)):
        with pytest.raises(CheckpointError, match=r"quantize\.proj\.weight is"):
            tokenizer_from_state(
                config, {**state, "quantize.proj.weight": torch.zeros(shape)}, "x.ckpt"
            )


def test_models_that_taming_could_not_hold_are_refused(tiny_config):
    with pytest.raises(CheckpointError, match="networks of our own"):
        tokenizer_to_state(Tokenizer(tiny_config), "x")
    loop = replace(plain_quantizer(16, 8), max_depth=4)
    config = TamingConfig(base_channels=32, multipliers=(1,), attention_levels=(), quantizer=loop)
    with pytest.raises(CheckpointError, match="up to 4 tokens per site"):
        tokenizer_to_state(Tokenizer(config), "x")


def test_requirements_name_what_is_wrong():
    require_names({"a": 1}, ["a"], "x")
    with pytest.raises(CheckpointError, match="it lacks a, b, c, \\.\\.\\."):
        require_names({}, ["a", "b", "c", "d"], "x")
    require_shape(torch.zeros(2), torch.ones(2), "a", "x")
    with pytest.raises(CheckpointError, match=r"a is \(2,\), expected \(3,\)"):
        require_shape(torch.zeros(2), torch.ones(3), "a", "x")


@pytest.mark.parametrize("gumbel", [False, True])
def test_the_released_sizes_have_the_released_names_and_shapes(gumbel):
    path = KEYS / ("gumbelvq_f8_8192.txt" if gumbel else "vqmodel_f16_1024.txt")
    if not path.is_file():
        pytest.skip(f"needs the names of the released models in {KEYS}")
    listed = re.findall(r"^ +(\S+) \((.*?)\) (?:float32|int64)", path.read_text(), re.MULTILINE)
    expected = {
        name: tuple(int(size) for size in shape.split(",") if size.strip())
        for name, shape in listed
        if not name.startswith("loss.")
    }
    config = TamingConfig()
    if gumbel:
        config = TamingConfig(
            multipliers=(1, 1, 2, 4),
            attention_levels=(3,),
            assignment="gumbel",
            quantizer=plain_quantizer(8192, 256),
        )
    with torch.device("meta"):
        own = Tokenizer(config).state_dict()
    ours = {theirs: tuple(own[name].shape) for theirs, name in taming_names(own, config).items()}
    if gumbel:
        ours["quantize.proj.weight"] += (1, 1)
    assert ours == expected
