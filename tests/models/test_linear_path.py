import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loopyvq import Tokenizer, TokenizerConfig
from loopyvq.errors import ConfigError
from loopyvq.models.linear_path import linear_analysis, linear_synthesis
from loopyvq.quantize import LoopConfig


@given(
    channels=st.sampled_from([1, 3, 5]),
    factor=st.sampled_from([4, 8, 16]),
    data=st.data(),
)
def test_all_frequencies_are_invertible(channels, factor, data):
    width = channels * factor**2
    image = torch.randn(1, channels, 2 * factor, factor)
    there, back = (make(channels, factor, width) for make in (linear_analysis, linear_synthesis))
    assert torch.allclose(back(there(image)), image, atol=1e-4)
    fewer = data.draw(st.integers(1, width))
    error = linear_synthesis(channels, factor, fewer)(
        linear_analysis(channels, factor, fewer)(image)
    )
    assert (error - image).square().mean() <= image.square().mean() * 1.0001


@torch.no_grad()
def test_errors_of_latents_are_errors_of_pixels():
    back, ratios = linear_synthesis(3, 8, 32), []
    for spread in (torch.ones(32), torch.linspace(1, 0.01, 32)):
        error = torch.randn(1, 32, 3, 3) * spread.view(1, -1, 1, 1)
        ratios.append(float(back(error).square().sum() / error.square().sum()))
    assert ratios[0] == pytest.approx(ratios[1], rel=1e-4)


def test_more_latents_than_frequencies_begin_empty():
    there = linear_analysis(1, 4, 20)
    assert there.weight[16:].abs().max() == 0
    assert there.weight[:16].flatten(1).norm(dim=1).min() > 0


def test_the_networks_begin_by_adding_nothing_and_learn():
    config = TokenizerConfig(
        channels=(8, 16), linear_path=True, quantizer=LoopConfig(codebook_dim=192)
    )
    tokenizer = Tokenizer(config)
    image = torch.rand(1, 3, 16, 24) * 2 - 1
    z_e = tokenizer.latents(image)
    lengths, threshold = torch.zeros(1, 2, 3, dtype=torch.long), torch.zeros(1, 2, 3)
    seen = torch.ones(1, dtype=torch.bool)
    decoded = tokenizer.decoder(z_e.permute(0, 3, 1, 2), lengths, threshold, seen)
    assert torch.allclose(decoded, image, atol=1e-4)
    (decoded - 0.5 * image).square().mean().backward()
    for part in (tokenizer.encoder, tokenizer.decoder):
        assert part.head.weight.grad.abs().max() > 0
        assert part.direct.weight.grad.abs().max() > 0


def test_a_linear_encoder_is_the_transform_and_never_learns():
    config = TokenizerConfig(
        channels=(8, 16),
        linear_path=True,
        linear_encoder=True,
        quantizer=LoopConfig(codebook_dim=192),
    )
    tokenizer = Tokenizer(config)
    image = torch.rand(1, 3, 16, 24) * 2 - 1
    result = tokenizer(image, threshold=0.3)
    assert torch.allclose(result.latents.permute(0, 3, 1, 2), linear_analysis(3, 8, 192)(image))
    result.image.square().mean().backward()
    assert not any(weights.requires_grad for weights in tokenizer.encoder.parameters())
    assert tokenizer.decoder.direct.weight.grad.abs().max() > 0


def test_a_linear_encoder_needs_its_inverse():
    with pytest.raises(ConfigError, match="linear_encoder needs linear_path"):
        TokenizerConfig(channels=(8, 16), linear_encoder=True)


def test_latents_of_photographs_have_a_norm_of_about_one(photo):
    z_e = linear_analysis(3, 8, 32)(photo)
    assert 0.3 < z_e.square().sum(dim=1).mean().sqrt() < 3


@pytest.fixture
def photo():
    rows = torch.linspace(-1, 1, 64)
    return (rows[:, None] * rows[None, :]).expand(1, 3, 64, 64) * 0.8 + 0.1
