from pathlib import Path

import pytest
import torch

from loopyvq.data import to_pil
from loopyvq.models import TamingConfig, Tokenizer, TokenizerConfig
from loopyvq.models.taming import plain_quantizer
from loopyvq.quantize import LoopConfig

PLAIN = LoopConfig(
    codebook_size=16, codebook_dim=4, max_depth=1, threshold=0.0, dummies=False, learn_gains=False
)


def plain(kind: str) -> Tokenizer:
    """A tokenizer of one code per site, started from noise."""
    torch.manual_seed(0)
    config = (
        TokenizerConfig(channels=(8, 16), encoder_blocks=1, decoder_blocks=1, quantizer=PLAIN)
        if kind == "loopy"
        else TamingConfig(
            base_channels=32,
            multipliers=(1, 1),
            blocks=1,
            attention_levels=(),
            latent_channels=4,
            quantizer=plain_quantizer(16, 4),
        )
    )
    tokenizer = Tokenizer(config)
    # Cues that say something, so that it shows where they are not held.
    for name, parameter in tokenizer.decoder.named_parameters():
        if "cue" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    tokenizer(noise(4))
    return tokenizer.eval()


def noise(count: int, seed: int = 0) -> torch.Tensor:
    """Images of blocks and noise, in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.rand(count, 3, 8, 8, generator=generator).repeat_interleave(4, 2)
    fine = torch.rand(count, 3, 32, 32, generator=generator)
    return (blocks.repeat_interleave(4, 3) + 0.3 * fine).clamp(0, 1) * 2 - 1


@pytest.fixture(params=["loopy", "taming"])
def tokenizer(request) -> Tokenizer:
    """Both architectures."""
    return plain(request.param)


@pytest.fixture
def photos(tmp_path) -> Path:
    """A folder of small images."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, image in enumerate(noise(12, seed=3)):
        to_pil(((image + 1) * 127.5).to(torch.uint8)).save(folder / f"{index}.png")
    return folder
