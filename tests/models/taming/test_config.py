from dataclasses import replace

import pytest
import torch

from loopyvq.config import config_to_dict, parse_config
from loopyvq.errors import ConfigError
from loopyvq.models.taming import TamingConfig, plain_quantizer
from loopyvq.quantize import LoopConfig, LoopQuantizer


def test_sizes_follow_from_the_multipliers(taming_config):
    assert taming_config.downsampling == 4
    assert taming_config.channels == (32, 64, 64)
    assert (taming_config.encoder_blocks, taming_config.decoder_blocks) == (1, 2)
    assert parse_config(TamingConfig, config_to_dict(taming_config)) == taming_config


@pytest.mark.parametrize("legacy", [True, False])
def test_the_loss_is_that_of_taming(legacy):
    torch.manual_seed(0)
    quantizer = LoopQuantizer(plain_quantizer(8, 6, legacy_weights=legacy)).train()
    quantizer.codebook.set(torch.randn(8, 6))
    z_e = torch.randn(30, 6, requires_grad=True)
    found = quantizer(z_e)
    codes = quantizer.codebook.weight[found.codes[:, 0]]
    commitment, codebook = (1.0, 0.25) if legacy else (0.25, 1.0)
    expected = commitment * (codes.detach() - z_e).square().mean()
    expected = expected + codebook * (codes - z_e.detach()).square().mean()
    assert found.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    wanted = torch.autograd.grad(expected, (z_e, quantizer.codebook.weight), retain_graph=True)
    given = torch.autograd.grad(found.loss, (z_e, quantizer.codebook.weight))
    for ours, theirs in zip(given, wanted, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-7)


@pytest.mark.parametrize(("kind", "legacy"), [("legacy", True), ("paper", False)])
def test_the_switch_of_the_loss_sets_both_weights_for_the_width(kind, legacy):
    words = ["--quantizer.codebook_dim", "12", "--loss_weights", kind, "--beta", "0.1"]
    config = parse_config(TamingConfig, {}, words)
    assert config.quantizer == plain_quantizer(1024, 12, legacy, 0.1)
    assert parse_config(TamingConfig, config_to_dict(config)) == config
    given = parse_config(TamingConfig, {}, words[:2])
    assert given.quantizer.commitment_weight == plain_quantizer(1024, 256).commitment_weight


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"multipliers": ()}, "at least 1"),
        ({"multipliers": (1, 0)}, "at least 1"),
        ({"blocks": 0}, "at least 1"),
        ({"base_channels": 40}, "multiple of 32"),
        ({"attention_levels": (3,)}, "within 0..2"),
        ({"dropout": 1.0}, r"within \[0, 1\)"),
        ({"beta": -1.0}, "beta must be 0 or more"),
        ({"quantizer": LoopConfig()}, "scale = absolute"),
    ],
)
def test_sizes_that_cannot_be_say_why(taming_config, changes, message):
    with pytest.raises(ConfigError, match=message):
        replace(taming_config, **changes)


def test_a_codebook_of_no_width_says_why():
    with pytest.raises(ConfigError, match="codebook_dim must be at least 1"):
        plain_quantizer(8, 0)
