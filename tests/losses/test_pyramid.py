import pytest
import torch
from beartype.roar import BeartypeCallHintViolation

from loopyvq.losses.pyramid import PyramidDistance

GENERATOR = torch.Generator().manual_seed(0)
IMAGE = torch.rand(2, 3, 40, 33, generator=GENERATOR) * 2 - 1


def test_it_is_zero_for_equal_images_alone():
    distance = PyramidDistance()
    assert torch.equal(distance(IMAGE, IMAGE), torch.zeros(2))
    assert (distance(IMAGE * 0.9, IMAGE) > 0).all()


def test_an_error_counts_less_where_there_is_contrast():
    noise = 0.05 * torch.randn(1, 1, 32, 32, generator=GENERATOR)
    flat, busy = torch.zeros(1, 1, 32, 32), torch.randn(1, 1, 32, 32, generator=GENERATOR)
    distance = PyramidDistance()
    assert distance(flat + noise, flat) > 2 * distance(busy + noise, busy)


def test_the_gradient_is_finite_and_goes_to_the_reconstruction():
    image = IMAGE.clone().requires_grad_()
    PyramidDistance()(image, IMAGE).sum().backward()
    assert image.grad.isfinite().all()
    PyramidDistance()(image, -IMAGE).sum().backward()
    assert image.grad.abs().sum() > 0


def test_small_images_have_fewer_bands():
    small = torch.zeros(1, 1, 4, 4)
    assert PyramidDistance()(small + 0.5, small).item() == pytest.approx(5.0)


def test_wrong_arguments_are_refused():
    with pytest.raises((ValueError, BeartypeCallHintViolation)):
        PyramidDistance()(IMAGE, IMAGE[:, :, 1:])
    with pytest.raises(ValueError, match="levels"):
        PyramidDistance(0)
