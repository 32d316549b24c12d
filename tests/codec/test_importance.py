import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loopyvq.codec.importance import (
    TUNES,
    contrast_weights,
    importance_as_shown,
    site_importance,
)
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


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("height", [8, 13, 70, 129])
def test_contrast_does_not_depend_on_how_many_rows_are_taken(monkeypatch, height, channels):
    image = make_image(height, 37, channels)
    whole = contrast_weights(image, 8)
    for pixels in (1, 37 * 30):
        monkeypatch.setattr("loopyvq.codec.pixels._PIXELS_AT_ONCE", pixels)
        assert torch.equal(contrast_weights(image, 8), whole)


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


def test_what_is_shown_moves_the_guess_towards_it():
    guess, errors = torch.rand(2, 9, 12, dtype=torch.float64).add(0.1).numpy()
    costs = torch.from_numpy(errors) * 7
    found = importance_as_shown(guess, torch.from_numpy(errors), [costs], [1.0])
    # All errors cost alike: what the guess made of them shrinks, and the mean stays.
    ratio = np.log(found) - np.log(guess).mean()
    assert np.allclose(ratio, 0.4 * (np.log(guess) - np.log(guess).mean()))


def test_costs_of_two_measures_are_shared():
    errors = torch.ones(6, 8)
    costs = [torch.rand(6, 8) + 0.2 for _ in range(2)]
    alone = [np.log(importance_as_shown(None, errors, [cost], [1.0])) for cost in costs]
    both = np.log(importance_as_shown(None, errors, costs, [0.3, 0.7]))
    assert np.allclose(both, 0.3 * alone[0] + 0.7 * alone[1])


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_errors_that_cost_nothing_leave_finite_weights(value):
    errors = torch.ones(8, 8)
    errors[:4, :4] = 0
    costs = torch.where(errors > 0, torch.tensor(value), torch.tensor(0.0))
    costs[7, 7] = 1
    weights = importance_as_shown(None, errors, [costs], [1.0])
    assert np.isfinite(weights).all()
    assert (weights > 0).all()


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
