import pytest
import torch

from loopyvq.codec.quality import measure_quality
from loopyvq.metrics.distortion import measure_distortion


def test_measures_agree_with_the_metrics():
    generator = torch.Generator().manual_seed(0)
    reference = torch.randint(20, 200, (3, 32, 40), dtype=torch.uint8, generator=generator)
    image = reference + torch.randint(0, 9, reference.shape, dtype=torch.uint8, generator=generator)
    theirs = measure_distortion(image, reference)
    assert measure_quality("psnr_db", image, reference) == pytest.approx(theirs.psnr_db, abs=1e-5)
    assert measure_quality("ssim", image, reference) == theirs.ssim
    assert measure_quality("pixel_error", image, reference) == 8
    assert measure_quality("psnr_db", image, image) == 100
