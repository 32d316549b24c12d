import dataclasses

import pytest

from loopyvq.data import BoxConfig
from loopyvq.errors import ConfigError
from loopyvq.models.priors import PRIORS
from loopyvq.training import PriorTrainingConfig
from loopyvq.training.prior_config import TokensFromImages
from tests.training.prior_tokens import SOURCE, tiny_prior_training


@pytest.mark.parametrize("kind", ["site", "flat"])
def test_the_sizes_follow_from_the_tokens(kind):
    config = tiny_prior_training("--kind", kind, f"--{kind}.condition.dropout", "0.3")
    sizes = config.prior_for(SOURCE)
    assert type(sizes) is PRIORS[kind].config
    assert (sizes.codebook_size, sizes.max_depth, sizes.min_length) == (8, 3, 0)
    assert (sizes.rows, sizes.columns) == (3, 3)
    assert sizes.transformer.width == 16
    assert sizes.condition.classes == 2
    assert sizes.condition.dropout == 0.3
    assert (sizes.condition.symbols, sizes.condition.places) == (0, False)
    mapped = dataclasses.replace(SOURCE, condition="coordinates", classes=0, class_names=())
    assert config.prior_for(mapped).condition.places
    labels = dataclasses.replace(SOURCE, condition="edges", symbols=17, classes=0, class_names=())
    assert config.prior_for(labels).condition.symbols == 17
    boxed = dataclasses.replace(SOURCE, box_classes=12, boxes=BoxConfig(bins=32))
    told = config.prior_for(boxed).condition
    assert (told.box_classes, told.box_bins) == (12, 32)
    assert sizes.condition.box_classes == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"validation_share": 1.0}, "validation_share"),
        ({"validation_images": 0}, "validation_images"),
        ({"overfit_gap": 0.0}, "overfit_gap"),
    ],
)
def test_values_out_of_range_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        PriorTrainingConfig(**changes)
    with pytest.raises(ConfigError, match="a threshold or a depth"):
        TokensFromImages(threshold=0.2, depth=2)
