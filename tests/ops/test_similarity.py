import pytest
import torch

from loopyvq.ops.similarity import SCALE_WEIGHTS, scale_weights_for, similarity_and_contrast


def test_equal_images_are_alike_and_brightness_is_no_contrast():
    image = torch.rand(
        2, 3, 20, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    for value in similarity_and_contrast(image, image, 1.0):
        assert torch.allclose(value, torch.ones(2, dtype=torch.float64))
    similarity, contrast = similarity_and_contrast(image, image + 0.5, 1.0)
    assert torch.allclose(contrast, torch.ones(2, dtype=torch.float64))
    assert similarity.max() < 0.9


def test_the_similarity_of_flat_images_is_the_formula():
    low, high = torch.full((1, 1, 11, 11), 0.2), torch.full((1, 1, 11, 11), 0.6)
    similarity, _ = similarity_and_contrast(low, high, 1.0)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert similarity.item() == pytest.approx(expected, rel=1e-3)


def test_weights_fit_the_size():
    assert scale_weights_for(176) == SCALE_WEIGHTS
    assert len(scale_weights_for(175)) == 4
    assert sum(scale_weights_for(50)) == pytest.approx(1)
    with pytest.raises(ValueError, match="at least"):
        scale_weights_for(10)
