import math

import pytest
import torch

from loopyvq.errors import ConfigError, DataError
from loopyvq.pretokenize import StopRule, default_stop, psnr_of, stop_for_length, stop_for_psnr
from tests.pretokenize.conftest import painted


@pytest.mark.parametrize("wanted", [0.7, 1.5, 3.0])
def test_the_mean_length_is_met(tokenizer, wanted):
    images = torch.stack([painted(i).float() / 127.5 - 1 for i in range(6)])
    stop = stop_for_length(tokenizer, images.split(4), wanted)
    assert stop.depth == 4
    found = float(tokenizer.encode(images, stop.threshold).lengths.float().mean())
    assert abs(found - wanted) < 0.15


@pytest.mark.parametrize("rule", ["threshold", "rate_distortion"])
def test_the_psnr_is_met(tokenizer, rule):
    images = torch.stack([painted(i).float() / 127.5 - 1 for i in range(6)])
    tokenizer.quantizer.stop = rule
    ends = [psnr_of(tokenizer, images.split(4), StopRule(t, 4, rule)) for t in (4.0, 1e-3)]
    wanted = sum(ends) / 2
    stop = stop_for_psnr(tokenizer, images.split(4), wanted)
    assert stop._replace(threshold=0.0) == StopRule(0.0, 4, rule)
    assert psnr_of(tokenizer, images.split(4), stop) == pytest.approx(wanted, abs=0.1)
    with pytest.raises(ConfigError, match="no threshold gives 99 dB"):
        stop_for_psnr(tokenizer, images.split(4), 99.0)
    with pytest.raises(DataError, match="no image"):
        psnr_of(tokenizer, [], stop)


def test_pooled_psnr_is_that_of_the_mean_squared_error(tokenizer):
    plain = torch.full((3, 3, 32, 32), 0.1)
    images = torch.cat([plain, torch.stack([painted(i).float() / 127.5 - 1 for i in range(3)])])
    rule = default_stop(tokenizer)
    each = [psnr_of(tokenizer, [image], rule) for image in images.split(1)]
    assert psnr_of(tokenizer, images.split(4), rule) == pytest.approx(sum(each) / 6)
    pooled = psnr_of(tokenizer, images.split(4), rule, pooled=True)
    error = sum(10 ** (-psnr / 10) for psnr in each) / 6
    assert pooled == pytest.approx(-10 * math.log10(error))
    assert pooled < sum(each) / 6
    ends = [rule._replace(threshold=threshold) for threshold in (4.0, 1e-3)]
    wanted = sum(psnr_of(tokenizer, images.split(4), end, pooled=True) for end in ends) / 2
    stop = stop_for_psnr(tokenizer, images.split(4), wanted, pooled=True)
    assert psnr_of(tokenizer, images.split(4), stop, pooled=True) == pytest.approx(wanted, abs=0.1)


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
    assert default_stop(tokenizer) == StopRule(tokenizer.config.quantizer.threshold, 4)
    tokenizer.quantizer.stop = "rate_distortion"
    assert default_stop(tokenizer).rule == "rate_distortion"
