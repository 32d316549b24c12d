from dataclasses import replace

import torch

from loopyvq.models import Tokenizer
from loopyvq.models.taming.decoder import TamingDecoder


def test_one_square_of_pixels_per_latent(taming_config):
    decoder = TamingDecoder(taming_config)
    assert decoder(torch.zeros(2, 4, 4, 6)).shape == (2, 3, 16, 24)


def test_levels_are_named_from_full_resolution_though_they_run_last(taming_config):
    names = TamingDecoder(taming_config).state_dict()
    assert "up.2.attn.1.q.weight" in names
    assert "up.0.block.0.nin_shortcut.weight" in names  # 64 to 32
    assert "up.0.upsample.conv.weight" not in names
    assert "up.1.upsample.conv.weight" in names


def test_it_is_deaf_to_cues(taming_config):
    tokenizer = Tokenizer(taming_config).eval()
    tokens = tokenizer.encode(torch.rand(1, 3, 16, 16) * 2 - 1)
    decoded = tokenizer.decode(tokens, threshold=0.3)
    assert torch.equal(decoded, tokenizer.decode(tokens, threshold=0.9, cues=False))


def test_label_maps_give_logits_and_images_are_clamped(taming_config):
    torch.manual_seed(0)
    for label_maps in (False, True):
        config = replace(taming_config, image_channels=5, label_maps=label_maps)
        tokenizer = Tokenizer(config).eval()
        tokenizer.decoder.conv_out.bias.data.fill_(9.0)
        labels = torch.randint(0, 5, (1, 16, 16))
        one_hot = torch.nn.functional.one_hot(labels).permute(0, 3, 1, 2).float()
        decoded = tokenizer.decode(tokenizer.encode(one_hot))
        assert decoded.shape == one_hot.shape
        assert bool(decoded.max() > 1) == label_maps


def test_gradients_reach_every_parameter(taming_config):
    torch.manual_seed(0)
    for assignment in ("nearest", "gumbel"):
        tokenizer = Tokenizer(replace(taming_config, assignment=assignment)).train()
        tokenizer.quantizer.codebook.set(torch.randn(16, 4))
        result = tokenizer(torch.rand(1, 3, 32, 32) * 2 - 1)
        (result.image.square().mean() + result.quantized.loss).backward()
        for name, parameter in tokenizer.named_parameters():
            assert parameter.grad is not None, name
