"""A Gumbel quantizer in a run: its temperature falls step by step, also across a resume."""

import json

import pytest
import torch

from loopyvq.checkpoint import load_tokenizer
from loopyvq.config import parse_config
from loopyvq.training import VqganTrainingConfig, train_vqgan
from tests.training.conftest import TINY
from tests.training.test_vqgan_task import GAN, TAMING

GUMBEL = [
    *TAMING, "--taming.assignment", "gumbel", "--taming.latent_channels", "4",
    "--taming.gumbel.temperature", "0.9", "--taming.gumbel.final_temperature", "0.1",
    "--taming.gumbel.decay_steps", "8", "--taming.gumbel.kl_weight", "0.01",
    "--run.precision", "32-true", "--num_validation", "2",
]  # fmt: skip


def config_of(steps: int, *words: str) -> VqganTrainingConfig:
    return parse_config(VqganTrainingConfig, GAN, [*GUMBEL, "--run.steps", str(steps), *words])


def test_the_temperature_falls_with_the_steps_of_a_run(photos, tmp_path):
    config = config_of(5, "--run.accumulate", "2")
    train_vqgan(config, photos, tmp_path, quiet=True)
    tokenizer = load_tokenizer(tmp_path / "last.safetensors")
    assert int(tokenizer.quantizer.codebook.updates) == 5
    expected = config.taming.gumbel.temperature_at(5)
    assert tokenizer.quantizer.temperature == pytest.approx(expected)
    assert 0.1 < expected < 0.9
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    measured = [json.loads(line) for line in lines]
    assert any(line.get("codebook_loss", 0) > 0 for line in measured)


@pytest.mark.slow
def test_a_temperature_that_differs_trains_to_another_model(photos, tmp_path):
    weights = []
    for name, words in (("a", []), ("b", []), ("c", ["--taming.gumbel.decay_steps", "3"])):
        train_vqgan(config_of(4, *words), photos, tmp_path / name, quiet=True)
        weights.append(load_tokenizer(tmp_path / name).quantizer.codebook.weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert TINY["run"]["batch_size"] == 4
