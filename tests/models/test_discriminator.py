from pathlib import Path

import numpy as np
import pytest
import torch

from loopyvq.errors import ConfigError
from loopyvq.interop.torch_file import TorchFile
from loopyvq.models.discriminator import ActNorm, BlurPool, DiscriminatorConfig, PatchDiscriminator

TAMING = Path(__file__).resolve().parents[3] / "shared" / "taming_reference"
IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1


def make(**changes) -> PatchDiscriminator:
    torch.manual_seed(0)
    return PatchDiscriminator(DiscriminatorConfig(base_channels=8, **changes))


def test_a_discriminator_of_taming_loads_and_gives_its_logits():
    if not TAMING.is_dir():
        pytest.skip(f"needs {TAMING}")
    file = TorchFile(TAMING / "vqgan.ckpt")
    start = "loss.discriminator."
    state = file.values["state_dict"]
    tensors = file.tensors({name: item for name, item in state.items() if name.startswith(start)})
    discriminator = make(normalisation="batch").eval()
    discriminator.load_state_dict({name[len(start) :]: item for name, item in tensors.items()})
    with np.load(TAMING / "io.npz") as stored:
        images, wanted = (torch.from_numpy(stored[name]) for name in ("images", "disc_logits"))
    assert torch.allclose(discriminator(images), wanted, atol=1e-4)


def test_actnorm_has_taming_names():
    names = set(make(normalisation="actnorm").state_dict())
    assert {"main.3.loc", "main.3.scale", "main.3.initialized", "main.2.bias"} <= names
    assert "main.2.bias" not in make(normalisation="batch").state_dict()


@pytest.mark.parametrize("normalisation", ["batch", "actnorm", "spectral", "none"])
@pytest.mark.parametrize("blur", [False, True])
def test_every_kind_learns_from_every_parameter(normalisation, blur):
    discriminator = make(normalisation=normalisation, blur=blur)
    logits = discriminator(IMAGES)
    assert logits.shape == (2, 1, 6, 6)
    logits.square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in discriminator.parameters())


@pytest.mark.parametrize(("layers", "side"), [(1, 30), (2, 14), (3, 6), (4, 2)])
def test_each_layer_halves(layers, side):
    assert make(layers=layers)(IMAGES).shape == (2, 1, side, side)


def test_actnorm_starts_from_its_first_batch_alone():
    layer, features = ActNorm(3), IMAGES * 5 + 2
    first = layer(features)
    assert first.mean().abs() < 1e-5
    assert first.std(dim=(0, 2, 3)).allclose(torch.ones(3), atol=1e-3)
    before = layer.loc.clone()
    layer(features + 1)
    assert torch.equal(layer.loc, before)


def test_a_blur_keeps_a_constant():
    assert torch.allclose(BlurPool()(torch.full((1, 2, 6, 6), 0.7)), torch.full((1, 2, 3, 3), 0.7))


def test_a_condition_is_seen_and_must_be_there():
    discriminator = make(condition_channels=2)
    condition = torch.zeros(2, 2, 64, 64)
    plain = discriminator(IMAGES, condition)
    assert not torch.equal(plain, discriminator(IMAGES, condition + 1))
    with pytest.raises(ValueError, match="condition_channels is 2"):
        discriminator(IMAGES)


@pytest.mark.parametrize(
    "changes", [{"layers": 0}, {"layers": 6}, {"base_channels": 0}, {"condition_channels": -1}]
)
def test_values_out_of_range_are_refused(changes):
    with pytest.raises(ConfigError):
        DiscriminatorConfig(**changes)


@pytest.mark.parametrize("blur", [False, True])
@pytest.mark.parametrize("layers", [1, 3, 4])
def test_the_least_side_gets_one_logit(layers, blur):
    network = make(layers=layers, blur=blur)
    least = network.config.least_side if hasattr(network, "config") else 3 << layers
    assert network(torch.zeros(2, 3, least, least)).shape == (2, 1, 1, 1)
    with pytest.raises(RuntimeError):
        network(torch.zeros(2, 3, least - 1, least - 1))
