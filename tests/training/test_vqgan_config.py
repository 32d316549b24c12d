import math

import pytest

from loopyvq.config import parse_config
from loopyvq.errors import ConfigError
from loopyvq.models import TamingConfig
from loopyvq.models.discriminator import DiscriminatorConfig
from loopyvq.training.vqgan_config import PerceptualConfig, VqganTrainingConfig


def test_the_architecture_picks_the_networks():
    config = VqganTrainingConfig()
    assert config.networks is config.tokenizer
    config = VqganTrainingConfig(architecture="taming")
    assert config.networks is config.taming


@pytest.mark.parametrize("weight", [-1.0, math.inf, math.nan])
def test_a_perceptual_weight_is_a_finite_number_from_0(weight):
    with pytest.raises(ConfigError, match="perceptual weight must be 0 or more"):
        PerceptualConfig(weight=weight)


@pytest.mark.parametrize("rate", [-1e-6, math.inf, math.nan])
def test_a_rate_per_image_is_a_finite_number_from_0(rate):
    with pytest.raises(ConfigError, match="rate_per_image must be a finite number of at least 0"):
        VqganTrainingConfig(rate_per_image=rate)


def test_what_a_tokenizer_has_no_use_for_is_refused():
    with pytest.raises(ConfigError, match="condition_channels must be 0"):
        VqganTrainingConfig(discriminator=DiscriminatorConfig(condition_channels=3))
    maps = TamingConfig(label_maps=True)
    with pytest.raises(ConfigError, match="label maps have no GAN"):
        VqganTrainingConfig(architecture="taming", taming=maps)
    assert VqganTrainingConfig(taming=maps).networks is not maps


def test_crops_are_large_enough_for_what_looks_at_them():
    values = {"crop": {"size": 24}, "discriminator": {"layers": 4}}
    with pytest.raises(ConfigError, match=r"layers needs a crop\.size of at least 48, got 24"):
        parse_config(VqganTrainingConfig, values)
    parse_config(VqganTrainingConfig, {"crop": {"size": 48}, "discriminator": {"layers": 4}})
    values = {"crop": {"size": 8}, "discriminator": {"layers": 1}}
    with pytest.raises(ConfigError, match=r"lpips needs a crop\.size of at least 16, got 8"):
        parse_config(VqganTrainingConfig, {**values, "perceptual": {"kind": "lpips"}})
