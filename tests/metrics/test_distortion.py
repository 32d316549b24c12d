import math
import subprocess
import sys

import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from skimage import metrics as skimage_metrics
from torch.nn import functional as F
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from loopyvq.metrics.distortion import measure_distortion


def make_pair(shape, noise=20.0):
    generator = torch.Generator().manual_seed(0)
    c, height, width = shape
    coarse = torch.rand(1, c, height // 8 + 2, width // 8 + 2, generator=generator) * 255
    reference = F.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)[0]
    image = reference + noise * torch.randn(shape, generator=generator)
    return image.clamp(0, 255).round().byte(), reference.clamp(0, 255).round().byte()


def skimage_ssim(image, reference):
    return skimage_metrics.structural_similarity(
        image.numpy(),
        reference.numpy(),
        channel_axis=0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
    )


@pytest.mark.parametrize("shape", [(3, 64, 96), (1, 40, 33), (3, 11, 11), (3, 180, 200)])
@pytest.mark.parametrize("noise", [2.0, 40.0])
def test_psnr_and_ssim_equal_scikit_image(shape, noise):
    image, reference = make_pair(shape, noise)
    distortion = measure_distortion(image, reference)
    psnr_db = skimage_metrics.peak_signal_noise_ratio(
        reference.numpy(), image.numpy(), data_range=255
    )
    assert distortion.psnr_db == pytest.approx(psnr_db, abs=1e-5)
    assert distortion.ssim == pytest.approx(skimage_ssim(image, reference), abs=1e-4)


def test_ms_ssim_of_one_scale_is_scikit_images_ssim():
    image, reference = make_pair((1, 21, 30))
    assert measure_distortion(image, reference).ms_ssim == pytest.approx(
        skimage_ssim(image, reference), abs=1e-4
    )


@pytest.mark.parametrize("size", [176, 256])
def test_ms_ssim_is_near_torchmetrics(size):
    # torchmetrics counts reflected borders at the coarsest scale; see the module's docstring.
    image, reference = make_pair((3, size, size + 20))
    whole = multiscale_structural_similarity_index_measure(
        image[None].float(), reference[None].float(), data_range=255.0
    )
    assert measure_distortion(image, reference).ms_ssim == pytest.approx(whole.item(), abs=3e-3)


@pytest.mark.parametrize("size", [11, 21, 22, 43, 44, 87, 88, 175, 176])
def test_every_size_from_the_window_up_has_numbers(size):
    image, reference = make_pair((3, size, size + 3))
    distortion = measure_distortion(image, reference)
    assert all(math.isfinite(value) for value in distortion)
    assert 0 < distortion.ms_ssim < 1
    assert isinstance(distortion.ssim, float)
    assert measure_distortion(reference, image) == pytest.approx(distortion, abs=1e-5)


def test_equal_images():
    image, _ = make_pair((3, 180, 180))
    assert measure_distortion(image, image) == (math.inf, pytest.approx(1), pytest.approx(1))


def test_opposite_images_score_zero_not_nan():
    image, _ = make_pair((1, 50, 50), noise=60.0)
    distortion = measure_distortion(image, 255 - image)
    assert distortion.ssim < 0
    assert distortion.ms_ssim == 0


def test_under_the_window_only_psnr_is_defined():
    image, reference = make_pair((3, 10, 40))
    distortion = measure_distortion(image, reference)
    assert math.isfinite(distortion.psnr_db)
    assert math.isnan(distortion.ssim)
    assert math.isnan(distortion.ms_ssim)


def test_wrong_arguments():
    image, reference = make_pair((3, 16, 16))
    with pytest.raises((ValueError, BeartypeCallHintViolation)):
        measure_distortion(image.float(), reference.float())
    with pytest.raises((ValueError, BeartypeCallHintViolation)):
        measure_distortion(image, reference[:, :-1])


def test_imports_stay_light():
    code = (
        "import sys, loopyvq.metrics.distortion as d, torch\n"
        "print('torchmetrics' in sys.modules)\n"
        "x = torch.zeros(3, 16, 16, dtype=torch.uint8); d.measure_distortion(x, x)\n"
        "print('torchvision' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]
