from dataclasses import replace

import pytest

from loopyvq.errors import CheckpointError, ConfigError
from loopyvq.interop.diffusers_config import folder_config, tokenizer_config
from tests.models.taming.conftest import taming_config

__all__ = ["taming_config"]


def test_a_config_comes_back(taming_config):
    assert tokenizer_config(folder_config(taming_config, "x"), "y") == taming_config
    uneven = replace(taming_config, attention_levels=(0, 2))
    written = folder_config(uneven, "x")
    assert written["up_block_types"] == [
        "AttnUpDecoderBlock2D",
        "UpDecoderBlock2D",
        "AttnUpDecoderBlock2D",
    ]
    assert tokenizer_config(written, "y") == uneven


def test_missing_options_are_those_of_diffusers():
    config = tokenizer_config(
        {
            "block_out_channels": [64],
            "down_block_types": ["DownEncoderBlock2D"],
            "up_block_types": ["UpDecoderBlock2D"],
            "vq_embed_dim": None,
        },
        "x",
    )
    assert (config.image_channels, config.blocks, config.latent_channels) == (3, 1, 3)
    assert (config.quantizer.codebook_size, config.quantizer.codebook_dim) == (256, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_class_name": "AutoencoderKL"}, "_class_name can only be VQModel"),
        ({"norm_type": "spatial"}, "norm_type can only be group"),
        ({"block_out_channels": []}, "must be a list"),
        ({"block_out_channels": [64, 96, 96]}, "multiples of the first"),
        ({"out_channels": 1}, "must be equal"),
        ({"down_block_types": ["DownEncoderBlock2D"]}, "down_block_types must be 3 of"),
        ({"up_block_types": ["UpDecoderBlock2D"] * 3}, "must mirror"),
        ({"layers_per_block": "two"}, "must be a whole number"),
    ],
)
def test_networks_that_cannot_be_say_why(taming_config, changes, message):
    with pytest.raises(ConfigError, match=message):
        tokenizer_config(folder_config(taming_config, "x") | changes, "config.json")


def test_what_diffusers_cannot_build_is_refused(taming_config):
    with pytest.raises(CheckpointError, match="first level wider"):
        folder_config(replace(taming_config, multipliers=(2, 2, 2)), "x")
