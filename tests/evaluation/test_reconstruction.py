import math

import pytest
import torch

from loopyvq.errors import DataError
from loopyvq.evaluation import OperatingPoint, evaluate, evaluate_image
from loopyvq.metrics.distortion import measure_distortion


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    sizes = [(24, 40), (17, 33)]
    return [
        (f"{index}.png", torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8))
        for index, size in enumerate(sizes)
    ]


POINTS = [OperatingPoint(0.5, 4), OperatingPoint(0.1, 4), OperatingPoint(0.0, 2)]


def test_every_number_is_that_of_the_tokens(tokenizer, images):
    result = evaluate(tokenizer, images, POINTS)
    assert [point.threshold for point in result.points] == [0.5, 0.1, 0.0]
    coarse, fine, fixed = result.points
    sites = 3 * 5 + 3 * 5
    assert sum(fine.length_histogram) == sites
    tokens = sum(length * count for length, count in enumerate(fine.length_histogram))
    assert fine.tokens_per_site == pytest.approx(tokens / sites)
    assert fine.tokens_per_image == pytest.approx(tokens / 2)
    assert fixed.length_histogram == [0, 0, sites, 0, 0]
    assert fixed.stop_bpp == 0
    assert coarse.stop_bpp > 0
    assert coarse.tokens_per_site < fine.tokens_per_site
    pixels = 24 * 40 + 17 * 33
    assert fine.rate_bpp == pytest.approx(2 * fine.bits_per_image / pixels)
    assert fine.rate_bpp > fine.stop_bpp
    mean = sum(row[5] for row in result.images if row[1] == 0.1) / 2
    assert fine.psnr_db == pytest.approx(mean)


def test_sites_within_the_threshold_are_counted_by_their_exact_error(tokenizer, images):
    name, image = images[0]
    (result,), latents = evaluate_image(tokenizer, name, image, [OperatingPoint(0.3, 4)])
    decoded = tokenizer.quantizer.decode(result.tokens)
    error = (latents.double() - decoded.double()).norm(dim=2) / tokenizer.quantizer.sigma
    within = (error <= 0.3).float().mean()
    (point,) = evaluate(tokenizer, images[:1], [OperatingPoint(0.3, 4)]).points
    assert point.share_within_threshold == pytest.approx(float(within))
    assert torch.allclose(result.residual_norm.double(), error, rtol=1e-5)


def test_the_reconstruction_is_what_the_tokens_decode_to(tokenizer, images):
    name, image = images[1]
    results, _ = evaluate_image(tokenizer, name, image, POINTS)
    for result, point in zip(results, POINTS, strict=True):
        assert result.reconstruction.shape == image.shape
        assert result.point == point
        assert result.distortion.psnr_db == measure_distortion(result.reconstruction, image).psnr_db
        assert math.isclose(result.rate_bpp, result.rate.total_bits / (17 * 33))


def test_nothing_to_evaluate_is_an_error(tokenizer, images):
    with pytest.raises(DataError, match="no readable image"):
        evaluate(tokenizer, [], POINTS)
    with pytest.raises(ValueError, match="at least one"):
        evaluate(tokenizer, images, [])
