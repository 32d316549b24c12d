import pytest

from loopyvq.config import parse_config
from loopyvq.errors import ConfigError
from loopyvq.models import LabelTokenizerConfig, TamingConfig
from loopyvq.training import SegmentationTrainingConfig


def of(*words):
    return parse_config(SegmentationTrainingConfig, {}, words)


def test_the_number_of_labels_decides_the_channels():
    own = of("--labels.num_labels", "12", "--tokenizer.channels", "[8,16]").networks
    assert isinstance(own, LabelTokenizerConfig)
    assert (own.image_channels, own.channels, own.label_maps) == (12, (8, 16), True)
    taming = of("--architecture", "taming", "--labels.num_labels", "182").networks
    assert isinstance(taming, TamingConfig)
    assert (taming.image_channels, taming.label_maps) == (182, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--label_weight", "-1"], "label_weight must be a finite number of at least 0"),
        (["--rate_per_image", "-1"], "rate_per_image must be a finite number of at least 0"),
        (["--loss.l2_weight", "1"], "leave out loss"),
        (["--content", "depth"], "leave out content"),
        (["--labels.num_labels", "300"], "num_labels must be within 1..256"),
    ],
)
def test_ranges(words, message):
    with pytest.raises(ConfigError, match=message):
        of(*words)
