from pathlib import Path

import pytest
import torch

from loopyvq.checkpoint import save_tokenizer
from loopyvq.data import to_pil
from loopyvq.models import Tokenizer
from loopyvq.models.prior.attention import TransformerConfig
from loopyvq.models.prior.site_prior import SitePrior, SitePriorConfig


def painted(seed, size=32):
    """A picture with a smooth part and a busy one."""
    generator = torch.Generator().manual_seed(seed)
    ramp = torch.linspace(0, 200, size)
    image = (ramp[None, :, None] + 7 * seed).expand(3, -1, size).clone()
    image[:, : size // 2] += 50 * torch.rand(3, size // 2, size, generator=generator)
    return image.clamp(0, 255).to(torch.uint8)


def make_site_prior(tokenizer, std=0.3, **changes) -> SitePrior:
    """A prior of a tokenizer's tokens that has learned nothing, but has opinions."""
    quantizer = tokenizer.quantizer
    sizes = TransformerConfig(width=16, layers=1, heads=2)
    known = {"codebook_size": quantizer.codebook_size, "max_depth": quantizer.max_depth}
    known |= {"rows": 4, "columns": 4, **changes}
    torch.manual_seed(0)
    prior = SitePrior(SitePriorConfig(**known, transformer=sizes, depth=sizes)).eval()
    for parameter in prior.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=std)
    return prior


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    """Ten square pictures of two classes."""
    folder = tmp_path_factory.mktemp("pictures")
    for index in range(10):
        place = folder / ("ant" if index < 4 else "bee")
        place.mkdir(exist_ok=True)
        to_pil(painted(index)).save(place / f"{index}.png")
    return folder


@pytest.fixture
def tokenizer(tiny_config) -> Tokenizer:
    """A tokenizer whose codes are where the latents are."""
    torch.manual_seed(0)
    tokenizer = Tokenizer(tiny_config).train()
    for seed in range(4):
        tokenizer(torch.stack([painted(seed + i).float() / 127.5 - 1 for i in range(4)]))
    return tokenizer.eval()


@pytest.fixture
def tokenizer_path(tokenizer, tmp_path) -> Path:
    path = tmp_path / "tokenizer" / "best.safetensors"
    save_tokenizer(path, tokenizer)
    return path
