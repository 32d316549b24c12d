import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from torch.nn import functional as F

from loopyvq.errors import ConfigError
from loopyvq.losses import (
    ReconstructionLoss,
    ReconstructionLossConfig,
    ms_ssim,
    scale_weights_for,
)


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    reference = torch.rand(2, 3, 32, 44, generator=generator) * 2 - 1
    return (0.7 * reference).clamp(-1, 1), reference


def test_terms_and_their_weighted_sum(pair):
    config = ReconstructionLossConfig(l1_weight=0.5, l2_weight=2.0, ms_ssim_weight=3.0)
    terms = ReconstructionLoss(config)(*pair)
    torch.testing.assert_close(terms.l1, F.l1_loss(*pair))
    torch.testing.assert_close(terms.l2, F.mse_loss(*pair))
    similarity = ms_ssim(*pair, 2.0, scale_weights_for(32)).mean()
    torch.testing.assert_close(terms.ms_ssim, 1 - similarity)
    total = 0.5 * terms.l1 + 2.0 * terms.l2 + 3.0 * terms.ms_ssim
    torch.testing.assert_close(terms.reconstruction_loss, total)


def test_default_is_plain_l1_and_reports_l2(pair):
    terms = ReconstructionLoss(ReconstructionLossConfig())(*pair)
    torch.testing.assert_close(terms.reconstruction_loss, terms.l1)
    assert terms.l2 > 0
    assert terms.ms_ssim == 0


def test_ms_ssim_is_not_computed_without_weight():
    tiny = torch.zeros(1, 3, 4, 4)  # too small for the window
    assert ReconstructionLoss(ReconstructionLossConfig())(tiny, tiny).ms_ssim == 0
    with pytest.raises(ValueError, match="at least the SSIM window's 11 px, got 4"):
        ReconstructionLoss(ReconstructionLossConfig(ms_ssim_weight=1.0))(tiny, tiny)


@pytest.mark.parametrize("weight_name", ["l1_weight", "l2_weight", "ms_ssim_weight"])
def test_descent_on_each_term_brings_the_image_closer(pair, weight_name):
    weights = dict.fromkeys(["l1_weight", "l2_weight", "ms_ssim_weight"], 0.0) | {weight_name: 1.0}
    criterion = ReconstructionLoss(ReconstructionLossConfig(**weights))
    image, reference = pair
    image = image.clone().requires_grad_()
    before = criterion(image, reference).reconstruction_loss
    (gradient,) = torch.autograd.grad(before, image)
    step = 1e-3 * gradient / gradient.abs().max()
    assert criterion(image - step, reference).reconstruction_loss < before


def test_equal_images_lose_nothing(pair):
    reference = pair[1].clone().requires_grad_()
    config = ReconstructionLossConfig(l1_weight=1.0, l2_weight=1.0, ms_ssim_weight=1.0)
    terms = ReconstructionLoss(config)(reference, pair[1])
    torch.testing.assert_close(terms.reconstruction_loss, torch.tensor(0.0))
    terms.reconstruction_loss.backward()
    assert torch.isfinite(reference.grad).all()


def test_float32_under_autocast_and_from_bfloat16(pair):
    criterion = ReconstructionLoss(ReconstructionLossConfig(l2_weight=1.0, ms_ssim_weight=1.0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = criterion(pair[0].bfloat16(), pair[1])
    assert {term.dtype for term in terms} == {torch.float32}
    torch.testing.assert_close(torch.stack(terms), torch.stack(criterion(*pair)), atol=5e-3, rtol=0)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_weights_out_of_range(weight):
    with pytest.raises(ConfigError, match="l2_weight must be a finite number of at least 0"):
        ReconstructionLossConfig(l2_weight=weight)


def test_all_weights_zero():
    with pytest.raises(ConfigError, match="at least one of l1_weight, l2_weight, ms_ssim_weight"):
        ReconstructionLossConfig(l1_weight=0.0)


def test_shapes_differ(pair):
    criterion = ReconstructionLoss(ReconstructionLossConfig())
    with pytest.raises((ValueError, BeartypeCallHintViolation)):
        criterion(pair[0], pair[1][..., :1])  # would broadcast
