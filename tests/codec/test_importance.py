import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loopyvq.codec.importance import TUNES, site_importance
from loopyvq.errors import ConfigError
from tests.codec.conftest import make_image


@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    channels=st.sampled_from([1, 3]),
    factor=st.sampled_from([4, 8, 16]),
)
def test_one_weight_per_site_of_geometric_mean_one(height, width, channels, factor):
    image = make_image(height, width, channels)
    weights = site_importance(image, factor, "ms_ssim")
    assert weights.shape == (-(-height // factor), -(-width // factor))
    assert (weights > 0).all()
    assert np.log(weights).mean() == pytest.approx(0, abs=1e-9)


def test_busy_places_weigh_less_the_more_it_is_tuned():
    image = torch.full((1, 64, 128), 100, dtype=torch.uint8)
    image[..., 64:] = make_image(64, 64, 1) // 2
    ratios = []
    for tune in TUNES:
        weights = site_importance(image, 8, tune)
        ratios.append(weights[:, :4].mean() / weights[:, -4:].mean())
    assert ratios[0] == 1
    assert 1.3 < ratios[1] < ratios[2]


def test_among_images_flat_ones_weigh_more():
    busy = torch.randint(0, 256, (1, 64, 64), dtype=torch.uint8)
    flat = torch.full((1, 64, 64), 100, dtype=torch.uint8)
    weights = [
        [site_importance(image, 8, tune, among_images=True).mean() for image in (busy, flat)]
        for tune in TUNES
    ]
    assert weights[0] == [1, 1]
    for low, high in weights[1:]:
        assert low < 0.8
        assert high > 1.5


def test_a_flat_image_weighs_all_alike():
    flat = torch.full((3, 40, 40), 7, dtype=torch.uint8)
    assert np.allclose(site_importance(flat, 8, "ms_ssim"), 1)


def test_an_unknown_tune():
    with pytest.raises(ConfigError, match="psnr, balanced, ms_ssim"):
        site_importance(make_image(8, 8), 8, "vmaf")


def test_files_follow_the_tune(codec):
    image = make_image(64, 128)
    image[..., 64:] = image[..., 64:] // 8 + 100
    sizes = []
    for tune in ("psnr", "ms_ssim"):
        data = codec.compress(image, 0.5, stop="in_context", bound=False, tune=tune)
        lengths = codec.decode_sites(data).tokens.lengths.float()
        sizes.append(float(lengths[:, 9:].mean() / lengths[:, :7].mean()))
    assert sizes[1] > sizes[0]


def test_tunes_need_the_rule_that_weighs(codec):
    with pytest.raises(ConfigError, match="in_context"):
        codec.compress(make_image(16, 16), 0.5, tune="ms_ssim")
