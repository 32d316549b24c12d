import json
import os
import subprocess
import sys

import pytest
import torch

from loopyvq.config import config_to_dict
from loopyvq.tensor_file import read_tensors
from loopyvq.training import RunConfig, loop
from tests.training.conftest import tiny_training


def test_no_other_accelerator_is_taken_by_itself(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert loop._hardware(RunConfig()) == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert loop._hardware(RunConfig()) == "cuda"
    assert loop._hardware(RunConfig(accelerator="cpu")) == "cpu"


@pytest.mark.slow
def test_two_processes_learn_one_model(photos, tmp_path):
    """Under torchrun both processes end with the same weights, and the run can be resumed."""
    config = tiny_training("--run.devices", "2", "--run.steps", "6")
    (tmp_path / "config.json").write_text(json.dumps(config_to_dict(config)))
    words = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "loopyvq",
        "train", "tokenizer", str(tmp_path / "config.json"), "--data", str(photos),
        "--out", str(tmp_path / "run"), "--quiet",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    state = read_tensors(tmp_path / "run" / "state.safetensors", "training state")
    assert state.header["step"] == 6
    assert all(tensor.isfinite().all() for tensor in state.tensors.values())
    assert state.tensors["model.quantizer.codebook.updates"] == 6
    assert bool(state.tensors["model.quantizer.codebook.initialised"])


@pytest.mark.slow
def test_compiled_networks_train(photos, tmp_path):
    """In a process of its own: the compiler cannot trace the checks that tests add to shapes."""
    config = tiny_training("--run.compile", "true", "--run.steps", "2")
    (tmp_path / "config.json").write_text(json.dumps(config_to_dict(config)))
    words = [
        sys.executable, "-m", "loopyvq", "train", "tokenizer", str(tmp_path / "config.json"),
        "--data", str(photos), "--out", str(tmp_path / "run"), "--quiet",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=280)
    assert done.returncode == 0, done.stderr
    state = read_tensors(tmp_path / "run" / "state.safetensors", "training state")
    assert state.header["step"] == 2
    assert all(tensor.isfinite().all() for tensor in state.tensors.values())


@pytest.mark.gpu
def test_training_on_a_gpu(photos, tmp_path):
    from loopyvq.training import train_tokenizer

    config = tiny_training("--run.accelerator", "cuda", "--run.precision", "bf16-mixed")
    assert train_tokenizer(config, photos, tmp_path, quiet=True).is_file()
