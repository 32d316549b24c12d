import pytest
import torch

from loopyvq.errors import ConfigError, DataError
from loopyvq.pretokenize import default_stop, stop_for_length
from tests.pretokenize.conftest import painted


@pytest.mark.parametrize("wanted", [0.7, 1.5, 3.0])
def test_the_mean_length_is_met(tokenizer, wanted):
    images = torch.stack([painted(i).float() / 127.5 - 1 for i in range(6)])
    stop = stop_for_length(tokenizer, images.split(4), wanted)
    assert stop.depth == 4
    found = float(tokenizer.encode(images, stop.threshold).lengths.float().mean())
    assert abs(found - wanted) < 0.15


def test_what_cannot_be_is_refused(tokenizer):
    images = [torch.zeros(1, 3, 32, 32)]
    with pytest.raises(ConfigError, match="above 0 up to 4"):
        stop_for_length(tokenizer, images, 5.0)
    with pytest.raises(DataError, match="no image"):
        stop_for_length(tokenizer, [], 1.0)
    tokenizer.quantizer.min_length = 2
    with pytest.raises(ConfigError, match="no threshold gives 1 tokens per site"):
        stop_for_length(tokenizer, images, 1.0)


def test_the_default_is_the_models_own(tokenizer):
    assert default_stop(tokenizer) == (tokenizer.config.quantizer.threshold, 4)
