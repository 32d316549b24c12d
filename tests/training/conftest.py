import json
from pathlib import Path
from typing import Any

import pytest
import torch

from loopyvq.config import parse_config
from loopyvq.data import to_pil
from loopyvq.training import TokenizerTrainingConfig

TINY = {
    "tokenizer": {
        "channels": [8, 16],
        "encoder_blocks": 1,
        "decoder_blocks": 1,
        "quantizer": {
            "codebook_size": 16,
            "codebook_dim": 4,
            "max_depth": 4,
            "start_iterations": 2,
        },
    },
    "crop": {"size": 32},
    "budget": {"low": 0.3, "high": 3.0},
    "optim": {"warmup_steps": 3},
    "run": {
        "steps": 6,
        "batch_size": 4,
        "accelerator": "cpu",
        "log_every": 2,
        "validate_every": 4,
        "save_every": 4,
        "tensorboard": False,
    },
    "num_validation": 2,
}


def tiny_training(*words: str) -> TokenizerTrainingConfig:
    """A training that takes a second, with options of the config on top."""
    return parse_config(TokenizerTrainingConfig, TINY, words)


def lines(folder: Path) -> list[dict[str, Any]]:
    """What a run has measured."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """A folder of eight small images with smooth and busy parts."""
    folder = tmp_path_factory.mktemp("photos")
    generator = torch.Generator().manual_seed(0)
    ramp = torch.linspace(0, 200, 48)
    for index in range(8):
        image = (ramp[None, :, None] + 5 * index).expand(3, -1, 40).clone()
        image[:, :20, :20] += 40 * torch.rand(3, 20, 20, generator=generator)
        to_pil(image.clamp(0, 255).to(torch.uint8)).save(folder / f"{index}.png")
    return folder
