import pytest
import torch
from torch import nn

from loopyvq.losses.perceptual import LPIPS

GENERATOR = torch.Generator().manual_seed(0)
IMAGE = torch.rand(2, 3, 32, 40, generator=GENERATOR) * 2 - 1
OTHER = (IMAGE + 0.3 * torch.randn(IMAGE.shape, generator=GENERATOR)).clamp(-1, 1)


@pytest.fixture(scope="module")
def distance() -> LPIPS:
    torch.manual_seed(0)
    return LPIPS()


def torchvision_features() -> nn.Sequential:
    """The layers in the order of torchvision's ``vgg16().features``."""
    layers, before = [], 3
    for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        if width == 0:
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
            before = width
    return nn.Sequential(*layers)


def test_it_agrees_with_torchmetrics_on_the_same_weights(distance, monkeypatch):
    theirs = pytest.importorskip("torchmetrics.functional.image.lpips")
    features = torchvision_features()
    trunk = {
        name.removeprefix("features."): value for name, value in distance.trunk.state_dict().items()
    }
    features.load_state_dict(trunk)
    monkeypatch.setattr(theirs, "_get_tv_model_features", lambda *_: features)
    reference = theirs._LPIPS(net="vgg")
    state = LPIPS().state_dict() | distance.state_dict()
    for index in range(5):
        state[f"heads.{index}"] = getattr(reference, f"lin{index}").model[-1].weight
    ours = LPIPS()
    ours.load_state_dict(state)
    wanted = reference(IMAGE, OTHER).flatten()
    assert torch.allclose(ours(IMAGE, OTHER), wanted, rtol=1e-4)


def test_grey_counts_as_equal_colours(distance):
    grey, other = IMAGE[:, :1], OTHER[:, :1]
    wanted = distance(grey.expand(-1, 3, -1, -1), other.expand(-1, 3, -1, -1))
    assert torch.allclose(distance(grey, other), wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradient_is_finite_even_where_features_vanish(distance, dtype):
    image = torch.zeros(1, 3, 16, 16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
        found = distance(image, OTHER[:1, :, :16, :16])
    assert found.dtype is torch.float32
    found.sum().backward()
    assert image.grad.isfinite().all()
    assert not any(parameter.requires_grad for parameter in distance.parameters())


def test_wrong_images_are_refused(distance):
    with pytest.raises(ValueError, match="16 px"):
        distance(IMAGE[:, :, :8], OTHER[:, :, :8])
    with pytest.raises(ValueError, match="one shape"):
        distance(IMAGE[:, :2], OTHER[:, :2])
