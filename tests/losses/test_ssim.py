import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure as torchmetrics_ms_ssim,
)
from torchmetrics.functional.image import (
    structural_similarity_index_measure as torchmetrics_ssim,
)

from loopyvq.losses import SCALE_WEIGHTS, ms_ssim, scale_weights_for, ssim

BORDER = 5  # px by which torchmetrics reflects the image and which we leave out
ROUNDING = 5e-5  # float32: E[x^2] - E[x]^2 against a c2 of 3.6e-3


def make_pair(shape, seed=0, noise=0.2):
    """Return smooth pictures in [-1, 1] and noisy copies of them."""
    generator = torch.Generator().manual_seed(seed)
    b, c, height, width = shape
    coarse = torch.rand(b, c, height // 8 + 2, width // 8 + 2, generator=generator) * 2 - 1
    reference = F.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)
    image = reference + noise * torch.randn(shape, generator=generator)
    return image.clamp(-1, 1), reference


def reference_ms_ssim(image, reference, scale_weights):
    """Compose MS-SSIM out of torchmetrics' maps, every scale cropped to whole windows."""
    product = torch.ones(len(image))
    for weight in scale_weights[:-1]:
        for index in range(len(image)):
            _, contrast = torchmetrics_ssim(
                image[index : index + 1],
                reference[index : index + 1],
                data_range=2.0,
                return_contrast_sensitivity=True,
            )
            product[index] *= contrast.item() ** weight
        image, reference = F.avg_pool2d(image, 2), F.avg_pool2d(reference, 2)
    return product * reference_ssim(image, reference) ** scale_weights[-1]


def reference_ssim(image, reference):
    _, full = torchmetrics_ssim(image, reference, data_range=2.0, return_full_image=True)
    return full[..., BORDER:-BORDER, BORDER:-BORDER].mean(dim=(1, 2, 3))


@pytest.mark.parametrize("shape", [(2, 1, 11, 11), (3, 3, 40, 27), (1, 3, 64, 128)])
def test_ssim_equals_torchmetrics_inside_the_border(shape):
    image, reference = make_pair(shape)
    expected = reference_ssim(image, reference)
    torch.testing.assert_close(ssim(image, reference, 2.0), expected, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize(
    ("shape", "num_scales"),
    [((2, 3, 176, 176), 5), ((2, 1, 128, 128), 4), ((1, 3, 99, 123), 3), ((2, 3, 32, 48), 2)],
)
def test_ms_ssim_equals_torchmetrics_inside_the_border(shape, num_scales):
    image, reference = make_pair(shape)
    scale_weights = scale_weights_for(min(shape[2:]) // 2 if num_scales == 3 else min(shape[2:]))
    assert len(scale_weights) == num_scales
    ours = ms_ssim(image, reference, 2.0, scale_weights)
    expected = reference_ms_ssim(image, reference, scale_weights)
    torch.testing.assert_close(ours, expected, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize(("size", "num_scales"), [(200, 5), (128, 4), (64, 3)])
def test_ms_ssim_is_near_torchmetrics_whole_function(size, num_scales):
    # It averages the coarsest scale over reflected borders too, so equality is not to be had.
    image, reference = make_pair((2, 3, size, size + 10))
    scale_weights = scale_weights_for(size)
    assert len(scale_weights) == num_scales
    expected = torchmetrics_ms_ssim(
        image, reference, data_range=2.0, betas=scale_weights, reduction="none"
    )
    ours = ms_ssim(image, reference, 2.0, scale_weights)
    torch.testing.assert_close(ours, expected, atol=1e-2, rtol=0)


def test_one_scale_is_ssim():
    image, reference = make_pair((2, 3, 20, 30))
    torch.testing.assert_close(ms_ssim(image, reference, 2.0, (1.0,)), ssim(image, reference, 2.0))


def test_default_weights_are_the_published_five():
    image, reference = make_pair((1, 1, 176, 180))
    assert scale_weights_for(176) == SCALE_WEIGHTS
    torch.testing.assert_close(
        ms_ssim(image, reference, 2.0), ms_ssim(image, reference, 2.0, SCALE_WEIGHTS)
    )


@pytest.mark.parametrize(
    ("size", "num_scales"),
    [(11, 1), (21, 1), (22, 2), (43, 2), (44, 3), (87, 3), (88, 4), (175, 4), (176, 5), (4096, 5)],
)
def test_scale_weights_fill_the_image(size, num_scales):
    scale_weights = scale_weights_for(size)
    assert len(scale_weights) == num_scales
    assert sum(scale_weights) == pytest.approx(1, abs=2e-4 if num_scales == 5 else 1e-12)
    ratio = scale_weights[0] / SCALE_WEIGHTS[0]
    assert scale_weights == pytest.approx([ratio * w for w in SCALE_WEIGHTS[:num_scales]])
    pair = make_pair((1, 1, min(size, 200), 200))
    assert torch.isfinite(ms_ssim(*pair, 2.0, scale_weights)).all()


def gradient_of(image, reference):
    image = image.clone().requires_grad_()
    value = ms_ssim(image, reference, 2.0, scale_weights_for(min(image.shape[2:])))
    value.mean().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(image.grad).all()
    return image.grad


def test_gradient_is_finite_and_nearly_zero_at_equal_images():
    _, reference = make_pair((2, 3, 48, 48))
    assert gradient_of(reference, reference).abs().max() < 1e-4


@pytest.mark.parametrize("value", [-1.0, 0.0, 0.3])
def test_gradient_is_finite_at_constant_images(value):
    constant = torch.full((1, 3, 48, 48), value)
    gradient_of(constant, constant)
    gradient_of(constant, -constant)
    gradient_of(constant, make_pair((1, 3, 48, 48))[0])


def test_gradient_is_finite_at_very_different_images():
    image, _ = make_pair((2, 3, 48, 48), noise=0.5)
    checks = (torch.arange(48)[:, None] + torch.arange(48)) % 2 * 2.0 - 1
    checks = checks.expand(2, 3, 48, 48)
    assert gradient_of(image, -image).abs().max() < 1e3
    assert gradient_of(checks, -checks).abs().max() < 1e3
    assert gradient_of(checks, torch.zeros_like(checks)).abs().max() < 1e3


def test_gradient_survives_one_negative_scale():
    # Fine scale anti-correlated, coarse scale alike: a plain relu would stop all learning.
    _, smooth = make_pair((1, 1, 48, 48))
    checks = ((torch.arange(48)[:, None] + torch.arange(48)) % 2 * 2.0 - 1) * 0.5
    assert gradient_of(smooth * 0.4 + checks, smooth * 0.5 - checks).abs().max() > 0


def test_gradcheck():
    image, reference = (x.double() for x in make_pair((1, 1, 24, 23)))
    image.requires_grad_()
    weights = scale_weights_for(23)
    assert len(weights) == 2
    assert torch.autograd.gradcheck(
        lambda x: ms_ssim(x, reference, 2.0, weights), (image,), fast_mode=True
    )


def test_autocast_changes_nothing():
    image, reference = make_pair((1, 3, 48, 48))
    weights = scale_weights_for(48)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast = ms_ssim(image, reference, 2.0, weights)
        single = ssim(image, reference, 2.0)
    assert under_autocast.dtype == single.dtype == torch.float32
    assert torch.equal(under_autocast, ms_ssim(image, reference, 2.0, weights))
    half = ms_ssim(image.bfloat16(), reference.bfloat16(), 2.0, weights)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, under_autocast, atol=1e-2, rtol=0)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    noise=st.floats(0, 3),
    height=st.integers(11, 50),
    width=st.integers(11, 50),
    channels=st.integers(1, 3),
)
def test_bounds_symmetry_and_scale_invariance(seed, noise, height, width, channels):
    image, reference = make_pair((2, channels, height, width), seed, noise)
    weights = scale_weights_for(min(height, width))
    value = ms_ssim(image, reference, 2.0, weights)
    assert (value > 0).all()
    assert (value <= 1 + 1e-5).all()
    assert (ssim(image, reference, 2.0).abs() <= 1 + 1e-5).all()
    torch.testing.assert_close(value, ms_ssim(reference, image, 2.0, weights))
    in_bytes = ms_ssim(image * 127.5, reference * 127.5, 255.0, weights)
    torch.testing.assert_close(value, in_bytes, atol=1e-4, rtol=0)
    torch.testing.assert_close(ms_ssim(image, image, 2.0, weights), torch.ones(2))


def test_images_of_a_batch_do_not_mix():
    image, reference = make_pair((3, 3, 24, 24))
    together = ms_ssim(image, reference, 2.0, (0.5, 0.5))
    alone = [
        ms_ssim(x[None], y[None], 2.0, (0.5, 0.5)) for x, y in zip(image, reference, strict=True)
    ]
    torch.testing.assert_close(together, torch.cat(alone))


def test_wrong_arguments():
    image = torch.zeros(1, 3, 32, 32)
    with pytest.raises((ValueError, BeartypeCallHintViolation)):
        ssim(image, image[..., :-1], 2.0)
    with pytest.raises(ValueError, match="data_range must be a positive"):
        ssim(image, image, 0.0)
    with pytest.raises(ValueError, match="at least 11 px, got 10 x 32"):
        ssim(image[:, :, :10], image[:, :, :10], 2.0)
    with pytest.raises(ValueError, match=r"5 scale.* at least 176 px"):
        ms_ssim(image, image, 2.0)
    with pytest.raises(ValueError, match="one or more positive"):
        ms_ssim(image, image, 2.0, ())
    with pytest.raises(ValueError, match="one or more positive"):
        ms_ssim(image, image, 2.0, (0.5, -0.5))
    with pytest.raises(ValueError, match="at least the SSIM window's 11 px, got 10"):
        scale_weights_for(10)
