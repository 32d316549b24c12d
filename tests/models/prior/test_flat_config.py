from dataclasses import replace

import pytest

from loopyvq.config import config_to_dict, parse_config
from loopyvq.errors import ConfigError
from loopyvq.models.prior.flat_config import FlatTokensConfig
from loopyvq.models.prior.site_prior import SitePriorConfig

SIZES = FlatTokensConfig(max_depth=3)


def test_it_comes_from_options_and_back():
    config = parse_config(FlatTokensConfig, {"transformer": {"width": 64}}, ["--order", "z_curve"])
    assert (config.transformer.width, config.order) == (64, "z_curve")
    assert parse_config(FlatTokensConfig, config_to_dict(config)) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": 0}, "rows must be at least 1"),
        ({"min_length": 4}, r"within 0\.\.3"),
        ({"embedding_dropout": 1.0}, "embedding_dropout"),
        ({"spelling": "depth_major"}, "spelling"),
        ({"order": "hilbert"}, "order"),
    ],
)
def test_configs_that_cannot_be_say_why(changes, message):
    with pytest.raises((ConfigError, TypeError), match=message):
        replace(SIZES, **changes)


@pytest.mark.parametrize("kind", [FlatTokensConfig, SitePriorConfig])
def test_no_prior_has_more_turns_than_files_hold(kind):
    assert kind(max_depth=255).max_depth == 255
    with pytest.raises(ConfigError, match="max_depth must be 255 at most, got 256"):
        kind(max_depth=256)
