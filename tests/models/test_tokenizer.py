from dataclasses import fields, replace

import pytest
import torch

from loopyvq.checkpoint import load_tokenizer, save_tokenizer
from loopyvq.errors import ConfigError
from loopyvq.models import LabelTokenizerConfig, Tokenizer, TokenizerConfig
from loopyvq.quantize import LoopConfig

LOOP = LoopConfig(codebook_size=16, codebook_dim=4, max_depth=4, start_iterations=2)


def tokenizer_of(config: TokenizerConfig) -> Tokenizer:
    """A tokenizer whose codebook has seen data and whose zero-initialised parts are awake."""
    torch.manual_seed(0)
    tokenizer = Tokenizer(config)
    for parameter in tokenizer.parameters():
        if parameter.abs().sum() == 0:
            torch.nn.init.normal_(parameter, std=0.05)
    tokenizer(torch.rand(2, config.image_channels, 48, 48) * 2 - 1)
    return tokenizer.eval()


@pytest.mark.parametrize(
    ("downsampling", "patch_size", "channels"),
    [(4, 1, (4, 8, 8)), (4, 4, (8,)), (8, 2, (4, 8, 8)), (16, 8, (8, 8)), (16, 4, (4, 8, 8))],
)
@pytest.mark.parametrize("image_channels", [1, 3])
def test_every_shape_of_network_and_image(downsampling, patch_size, channels, image_channels):
    config = TokenizerConfig(
        image_channels=image_channels,
        downsampling=downsampling,
        patch_size=patch_size,
        channels=channels,
        encoder_blocks=1,
        decoder_blocks=1,
        quantizer=LOOP,
    )
    tokenizer = tokenizer_of(config)
    for height, width in ((1, 1), (5, 70), (33, 16), (17, 31)):
        image = torch.rand(1, image_channels, height, width) * 2 - 1
        tokens = tokenizer.encode(image, threshold=0.3)
        grid = (-(-height // downsampling), -(-width // downsampling))
        assert tokens.lengths.shape == (1, *grid)
        decoded = tokenizer.decode(tokens, threshold=0.3, size=(height, width))
        assert decoded.shape == image.shape
        assert decoded.abs().max() <= 1
        assert torch.equal(decoded, tokenizer.reconstruct(image, threshold=0.3))


def test_the_three_ways_to_a_reconstruction_agree(tiny_config):
    tokenizer = tokenizer_of(tiny_config)
    image = torch.rand(2, 3, 40, 24) * 2 - 1
    threshold = torch.tensor([0.2, 0.6])[:, None, None]
    with torch.no_grad():
        whole = tokenizer(image, threshold)
    tokens = tokenizer.encode(image, threshold)
    assert torch.equal(whole.quantized.codes, tokens.codes)
    decoded = tokenizer.decode(tokens, threshold, (40, 24))
    assert torch.equal(whole.image.clamp(-1, 1), decoded)
    assert int(tokens.lengths[0].sum()) > int(tokens.lengths[1].sum())


def test_a_smaller_threshold_gives_more_tokens_and_depth_limits_them(tiny_config):
    tokenizer = tokenizer_of(tiny_config)
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    counts = [tokenizer.encode(image, t).num_tokens for t in (2.0, 0.8, 0.4, 0.1, 0.0)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]
    assert tokenizer.encode(image, 0.0, depth=2).lengths.max() == 2


def test_the_decoder_hears_its_cues(tiny_config):
    tokenizer = tokenizer_of(tiny_config)
    tokens = tokenizer.encode(torch.rand(1, 3, 32, 32) * 2 - 1, 0.4)
    cued = tokenizer.decode(tokens, 0.4)
    assert not torch.equal(cued, tokenizer.decode(tokens, 0.1))
    assert not torch.equal(cued, tokenizer.decode(tokens, 0.4, cues=False))
    uncued = tokenizer.decode(tokens, 0.4, cues=False)
    assert torch.equal(uncued, tokenizer.decode(tokens, 0.1, cues=False))


def test_any_prefix_of_the_tokens_decodes(tiny_config):
    tokenizer = tokenizer_of(tiny_config)
    tokens = tokenizer.encode(torch.rand(1, 3, 32, 32) * 2 - 1, 0.0)
    for turns in range(5):
        assert tokenizer.decode(tokens.prefix(turns), 0.1).isfinite().all()


def test_a_site_depends_on_its_neighbourhood_alone(tiny_config):
    """No statistics over the image: far from a cut, a crop has the tokens of the whole."""
    tokenizer = tokenizer_of(tiny_config)
    image = torch.rand(1, 3, 160, 160) * 2 - 1
    whole = tokenizer.latents(image)
    crop = tokenizer.latents(image[:, :, :96, :96])
    assert torch.allclose(whole[:, :6, :6], crop[:, :6, :6], atol=1e-5)


def test_gradients_reach_every_parameter(tiny_config):
    tokenizer = tokenizer_of(tiny_config).train()
    image = torch.rand(2, 3, 32, 32) * 2 - 1
    result = tokenizer(image, threshold=0.3)
    (result.image.square().mean() + result.quantized.loss).backward()
    for name, parameter in tokenizer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_attention_looks_at_every_site():
    config = TokenizerConfig(channels=(8, 64), encoder_blocks=1, attention=True, quantizer=LOOP)
    tokenizer = tokenizer_of(config)
    image = torch.zeros(1, 3, 96, 96)
    changed = image.clone()
    changed[:, :, -8:, -8:] = 1
    difference = (tokenizer.latents(image) - tokenizer.latents(changed)).abs()
    assert difference[0, 0, 0].max() > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": (8,)}, "downsampling of 4, not 8"),
        ({"channels": (8, 8, 8)}, "downsampling of 16, not 8"),
        ({"channels": (8, 0)}, "at least 1"),
        ({"encoder_blocks": -1}, "0 or more"),
        ({"attention": True, "channels": (8, 60)}, "multiple of 64"),
    ],
)
def test_sizes_that_cannot_be_say_why(tiny_config, changes, message):
    with pytest.raises(ConfigError, match=message):
        replace(tiny_config, **changes)


def test_wrong_images_and_tokens_say_why(tiny_config):
    tokenizer = tokenizer_of(tiny_config)
    with pytest.raises(ValueError, match="b 3 H W"):
        tokenizer.encode(torch.zeros(1, 1, 8, 8))
    with pytest.raises(ValueError, match="b 3 H W"):
        tokenizer.encode(torch.zeros(1, 3, 0, 8))
    tokens = tokenizer.encode(torch.zeros(1, 3, 16, 16))
    with pytest.raises(ValueError, match="2 x 2 sites"):
        tokenizer.decode(tokens, size=(17, 16))
    with pytest.raises(ValueError, match="b h w"):
        tokenizer.decode(type(tokens)(tokens.codes[0], tokens.lengths[0]))


@pytest.mark.parametrize("labels", [1, 3, 12])
def test_label_maps_give_logits_and_survive_a_file(tiny_config, tmp_path, labels):
    own = {field.name: getattr(tiny_config, field.name) for field in fields(tiny_config)}
    tokenizer = Tokenizer(LabelTokenizerConfig(**{**own, "image_channels": labels})).eval()
    assert (tokenizer.architecture, tokenizer.config.label_maps) == ("loopy_labels", True)
    assert not tiny_config.label_maps
    with torch.no_grad():
        tokenizer.decoder.head.bias.fill_(5.0)
    maps = torch.zeros(1, labels, 20, 33)
    assert tokenizer.reconstruct(maps).max() > 1  # an image would be clamped
    assert tokenizer(maps).image.shape == maps.shape
    save_tokenizer(tmp_path / "labels.safetensors", tokenizer)
    loaded = load_tokenizer(tmp_path / "labels.safetensors")
    assert loaded.config == tokenizer.config
    assert torch.equal(loaded.reconstruct(maps), tokenizer.reconstruct(maps))


def test_numbers_of_channels(tiny_config):
    with pytest.raises(ConfigError, match="image_channels must be 1 or 3, got 4"):
        replace(tiny_config, image_channels=4)
    for number in (0, 257):
        with pytest.raises(ConfigError, match=f"1 to 256 labels, got {number}"):
            LabelTokenizerConfig(image_channels=number)


@pytest.mark.parametrize("supports", [(), (1,)])
def test_latents_hear_nothing_of_entries_that_codes_of_few_entries_left_out(supports):
    loop = replace(LOOP, code_supports=supports)
    tokenizer = tokenizer_of(TokenizerConfig(channels=(8, 16), quantizer=loop)).train()
    result = tokenizer(torch.rand(1, 3, 32, 32) * 2 - 1, threshold=0.0, depth=2)
    (gradient,) = torch.autograd.grad(result.image.square().mean(), result.latents)
    zeros = result.quantized.z_q == 0
    assert zeros.any() == bool(supports)
    assert (gradient[zeros] == 0).all()
    assert (gradient[~zeros] != 0).all()
