import json
import os
import subprocess
import sys

import pytest
import torch

from loopyvq.checkpoint import load_tokenizer
from loopyvq.config import config_to_dict
from loopyvq.errors import CheckpointError, ConfigError
from loopyvq.tensor_file import read_tensors, write_tensors
from loopyvq.training import VqganTask, VqganTrainingConfig, loop, train_vqgan
from loopyvq.training.run_folder import saved_config
from tests.training.test_vqgan_task import TAMING, make, tiny_gan


class Killed(BaseException):
    """What ends a run as abruptly as a power cut, but lets the test go on."""


def state_of(folder):
    return read_tensors(folder / "state.safetensors", "training state")


@pytest.mark.parametrize(
    "words",
    [
        ("--run.accumulate", "2", "--adversarial.r1_weight", "1", "--adversarial.r1_every", "3"),
        ("--run.precision", "bf16-mixed", "--adversarial.lecam_weight", "0.1"),
        (*TAMING, "--taming.dropout", "0.1", "--discriminator.normalisation", "batch"),
        ("--recompute", "true"),
    ],
)
def test_killed_and_resumed_is_bit_identical_to_straight(photos, tmp_path, monkeypatch, words):
    config = tiny_gan("--run.steps", "8", "--run.save_every", "2", *words)
    train_vqgan(config, photos, tmp_path / "straight", quiet=True)
    after_step, steps = VqganTask.after_step, [0]

    def die(self):
        after_step(self)
        steps[0] += 1
        if steps[0] == 6:
            raise Killed

    monkeypatch.setattr(VqganTask, "after_step", die)
    with pytest.raises(Killed):
        train_vqgan(config, photos, tmp_path / "killed", quiet=True)
    monkeypatch.undo()
    assert state_of(tmp_path / "killed").header["step"] == 4
    torch.manual_seed(99)
    train_vqgan(config, photos, tmp_path / "killed", resume=True, quiet=True)
    straight, resumed = (state_of(tmp_path / name).tensors for name in ("straight", "killed"))
    assert resumed.keys() == straight.keys()
    assert any(name.startswith("adversary_optimizer.") for name in straight)
    for name, tensor in straight.items():
        assert torch.equal(resumed[name], tensor), name


def test_a_run_leaves_a_tokenizer_and_the_curves_of_the_game(photos, tmp_path):
    config = tiny_gan("--rate_per_image", "1e-4")
    best = train_vqgan(config, photos, tmp_path, quiet=True)
    assert load_tokenizer(best).quantizer.codebook.initialised
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[-2]["adversarial_weight"] > 0
    assert lines[-2]["adversary_gradient_norm"] > 0
    assert "validation_score" not in lines[-1]
    assert lines[0]["learning_rate"] <= 4e-4
    assert saved_config(tmp_path, VqganTrainingConfig)[0] == config


def test_lpips_without_weights_leaves_no_run(photos, tmp_path):
    config = tiny_gan("--perceptual.kind", "lpips", "--perceptual.weights", str(tmp_path / "no"))
    with pytest.raises(CheckpointError, match="no weights"):
        train_vqgan(config, photos, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_the_warm_up_of_the_discriminator_counts_from_its_own_start(photos, tmp_path, monkeypatch):
    def recorded(step, progress, optim):
        if optim == config.discriminator_optim:
            asked.append(step)
        return rate(step, progress, optim)

    asked, rate = [], loop.learning_rate_at
    config = tiny_gan("--adversarial.start_step", "4")  # it learns from one step earlier on
    monkeypatch.setattr(loop, "learning_rate_at", recorded)
    train_vqgan(config, photos, tmp_path, quiet=True)
    assert asked == [0, 0, 0, 0, 1, 2]


def test_a_run_that_goes_on_needs_no_other_discriminator(photos, tmp_path):
    words = ("--discriminator.normalisation", "batch", "--discriminator_weights", str(tmp_path))
    other = make(*words[:2]).critic.discriminator.state_dict()
    tensors = {f"loss.discriminator.{name}": item for name, item in other.items()}
    write_tensors(tmp_path / "extras.safetensors", "taming extras", tensors)
    train_vqgan(tiny_gan(*words, "--run.steps", "1"), photos, tmp_path / "run", quiet=True)
    (tmp_path / "extras.safetensors").unlink()
    train_vqgan(tiny_gan(*words), photos, tmp_path / "run", resume=True, quiet=True)
    assert state_of(tmp_path / "run").header["step"] == 6


def test_float16_is_refused(photos, tmp_path):
    with pytest.raises(ConfigError, match="16-mixed"):
        train_vqgan(tiny_gan("--run.precision", "16-mixed"), photos, tmp_path, quiet=True)


@pytest.mark.slow
@pytest.mark.parametrize("normalisation", ["spectral", "batch"])
def test_two_processes_play_one_game(photos, tmp_path, normalisation):
    config = tiny_gan(
        "--run.devices", "2", "--discriminator.normalisation", normalisation,
        "--run.accumulate", "2", "--adversarial.r1_weight", "1", "--adversarial.r1_every", "2",
    )  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config_to_dict(config)))
    words = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "loopyvq",
        "train", "vqgan", str(tmp_path / "config.json"), "--data", str(photos),
        "--out", str(tmp_path / "run"), "--quiet",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    state = state_of(tmp_path / "run")
    assert state.header["step"] == 6
    assert all(tensor.isfinite().all() for tensor in state.tensors.values())
    assert int(state.tensors["model.quantizer.codebook.updates"]) == 6
