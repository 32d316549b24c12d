import json
import math
import shutil
import signal
import subprocess
import sys

import pytest
import torch

from loopyvq.checkpoint import load_tokenizer
from loopyvq.config import config_to_dict
from loopyvq.data import open_image_set, split
from loopyvq.errors import CheckpointError, ConfigError, DataError, TrainingError
from loopyvq.tensor_file import read_tensors, write_tensors
from loopyvq.training import TokenizerTask, TokenizerTrainingConfig, loop, train_tokenizer
from loopyvq.training.run_folder import saved_config
from loopyvq.training.task import Validation
from tests.training.conftest import lines, tiny_training

# Dies like a machine that loses power, two steps after the last saved state.
KILLED = """
import json, os, signal, sys, warnings
import torch
from loopyvq.config import parse_config
from loopyvq.training import TokenizerTask, TokenizerTrainingConfig, train_tokenizer

torch.set_num_threads(1)
config, data, folder, at = json.loads(sys.argv[1])
after_step, steps = TokenizerTask.after_step, [0]

def die(self):
    after_step(self)
    steps[0] += 1
    if steps[0] == at:
        os.kill(os.getpid(), signal.SIGKILL)

TokenizerTask.after_step = die
train_tokenizer(parse_config(TokenizerTrainingConfig, config), data, folder, quiet=True)
"""


def without_times(folder):
    timed = ("images_per_s",)
    return [{k: v for k, v in line.items() if k not in timed} for line in lines(folder)]


def test_a_run_leaves_models_metrics_and_a_state(photos, tmp_path):
    best = train_tokenizer(tiny_training(), photos, tmp_path / "run", quiet=True)
    assert best == tmp_path / "run" / "best.safetensors"
    tokenizer = load_tokenizer(best)
    assert tokenizer.quantizer.codebook.initialised
    assert load_tokenizer(tmp_path / "run" / "last.safetensors").config == tokenizer.config
    measured = lines(tmp_path / "run")
    assert [line["step"] for line in measured] == [2, 4, 4, 6, 6]
    for name in ("psnr_db", "mean_length", "rate_bpp", "spread_of_energies", "images_per_s"):
        assert measured[0][name] >= 0
    assert len(measured[0]["perplexity_per_turn"]) == 4
    assert measured[2]["validation_psnr_db_at_2"] > 0
    assert saved_config(tmp_path / "run", TokenizerTrainingConfig)[0] == tiny_training()


def test_training_learns(photos, tmp_path):
    words = ["--run.steps", "60", "--optim.learning_rate", "3e-3", "--run.precision", "32-true"]
    train_tokenizer(tiny_training(*words), photos, tmp_path, quiet=True)
    measured = [line["psnr_db"] for line in lines(tmp_path) if "psnr_db" in line]
    assert sum(measured[-5:]) / 5 > sum(measured[:5]) / 5 + 3


@pytest.mark.parametrize(
    "precision", ["32-true", pytest.param("bf16-mixed", marks=pytest.mark.slow)]
)
def test_killed_and_resumed_is_bit_identical_to_straight(photos, tmp_path, precision):
    words = ["--run.steps", "8", "--run.save_every", "3", "--run.precision", precision]
    words += ["--run.accumulate", "2"] if precision == "32-true" else []
    config = tiny_training(*words)
    train_tokenizer(config, photos, tmp_path / "straight", quiet=True)
    job = json.dumps([config_to_dict(config), str(photos), str(tmp_path / "killed"), 5])
    died = subprocess.run([sys.executable, "-c", KILLED, job], check=False, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    saved = read_tensors(tmp_path / "killed" / "state.safetensors", "training state")
    assert saved.header["step"] == 3
    train_tokenizer(config, photos, tmp_path / "killed", resume=True, quiet=True)
    straight = read_tensors(tmp_path / "straight" / "state.safetensors", "training state")
    resumed = read_tensors(tmp_path / "killed" / "state.safetensors", "training state")
    assert resumed.header["step"] == straight.header["step"] == 8
    assert resumed.tensors.keys() == straight.tensors.keys()
    for name, tensor in straight.tensors.items():
        assert torch.equal(resumed.tensors[name], tensor), name
    assert without_times(tmp_path / "killed") == without_times(tmp_path / "straight")


def test_workers_change_nothing(photos, tmp_path):
    for name, workers in (("none", "0"), ("one", "1")):
        config = tiny_training("--run.workers", workers, "--run.steps", "3")
        train_tokenizer(config, photos, tmp_path / name, quiet=True)
    none, one = (
        read_tensors(tmp_path / name / "last.safetensors", "tokenizer").tensors
        for name in ("none", "one")
    )
    assert all(torch.equal(none[name], one[name]) for name in none)


def test_a_broken_image_is_one_line_from_workers_too(photos, tmp_path):
    images = shutil.copytree(photos, tmp_path / "images")
    for path in images.iterdir():
        path.write_text("no image")
    config = tiny_training("--run.workers", "1", "--num_validation", "0")
    with pytest.raises(DataError, match=r"^cannot read the image [^\n]*\.png: [^\n]*$"):
        train_tokenizer(config, images, tmp_path / "run", strict=True, quiet=True)


def test_a_time_limit_ends_the_run_early(photos, tmp_path):
    config = tiny_training("--run.steps", "100000", "--run.time_limit_s", "1.0")
    train_tokenizer(config, photos, tmp_path, quiet=True)
    saved = read_tensors(tmp_path / "state.safetensors", "training state")
    assert 1 <= saved.header["step"] < 100000


def test_without_validation_the_last_model_is_the_result(photos, tmp_path):
    config = tiny_training("--num_validation", "0", "--run.steps", "2")
    images = open_image_set(photos)
    best = train_tokenizer(config, images, tmp_path, quiet=True)
    assert best.name == "last.safetensors"
    assert best.is_file()
    assert not (tmp_path / "best.safetensors").exists()


def test_a_state_of_another_model_is_refused(photos, tmp_path):
    train_tokenizer(tiny_training("--run.steps", "1"), photos, tmp_path, quiet=True)
    other = tiny_training("--tokenizer.channels", "[8,12]")
    with pytest.raises(CheckpointError, match="does not fit"):
        train_tokenizer(other, photos, tmp_path, resume=True, quiet=True)


def test_too_few_images_to_hold_out(photos, tmp_path):
    with pytest.raises(DataError, match="hold out 8"):
        train_tokenizer(tiny_training("--num_validation", "8"), photos, tmp_path, quiet=True)


def test_a_loss_that_is_not_finite_stops_with_the_batch_saved(photos, tmp_path):
    config = tiny_training("--optim.learning_rate", "1e30", "--optim.warmup_steps", "0")
    with pytest.raises(TrainingError, match=r"the loss is .* at step \d+; the batch was saved"):
        train_tokenizer(config, photos, tmp_path, quiet=True)
    saved = read_tensors(tmp_path / "nonfinite_batch_rank0.safetensors", "batch")
    assert saved.tensors["images"].shape == (4, 3, 32, 32)


def test_an_interrupt_in_the_middle_of_a_step_ends_after_it_and_resumes_alike(
    photos, tmp_path, monkeypatch
):
    config = tiny_training("--run.save_every", "100")
    train_tokenizer(config, photos, tmp_path / "straight", quiet=True)
    after_step = TokenizerTask.after_step
    steps = []

    def interrupt(self):
        steps.append(1)
        if len(steps) == 3:
            signal.raise_signal(signal.SIGINT)
        after_step(self)

    monkeypatch.setattr(TokenizerTask, "after_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_tokenizer(config, photos, tmp_path / "run", quiet=True)
    state = read_tensors(tmp_path / "run" / "state.safetensors", "training state")
    assert state.header["step"] == 3
    train_tokenizer(config, photos, tmp_path / "run", resume=True, quiet=True)
    straight, resumed = (
        read_tensors(tmp_path / name / "state.safetensors", "training state").tensors
        for name in ("straight", "run")
    )
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)


def test_a_run_that_is_done_stays_as_it_is(photos, tmp_path):
    train_tokenizer(tiny_training(), photos, tmp_path, quiet=True)
    kept = [path for path in tmp_path.iterdir() if path.suffix == ".safetensors"]
    (tmp_path / "best.safetensors").write_bytes(b"with tables of its own")
    before = {path.name: path.read_bytes() for path in kept}
    train_tokenizer(tiny_training(), photos, tmp_path, resume=True, quiet=True)
    assert {path.name: path.read_bytes() for path in kept} == before


def test_the_best_model_is_kept_over_later_ones(photos, tmp_path, monkeypatch):
    def judged(self, model):
        return Validation(scores.pop(0), {}, None)

    def kept():
        return read_tensors(tmp_path / "best.safetensors", "tokenizer").header["notes"]["step"]

    scores = [1.0, 3.0, 2.0, 2.5, 3.5]
    monkeypatch.setattr(TokenizerTask, "validate", judged)
    words = ("--run.validate_every", "1", "--run.steps")
    train_tokenizer(tiny_training(*words, "3"), photos, tmp_path, quiet=True)
    assert kept() == 2
    train_tokenizer(tiny_training(*words, "4"), photos, tmp_path, resume=True, quiet=True)
    assert kept() == 2
    train_tokenizer(tiny_training(*words, "5"), photos, tmp_path, resume=True, quiet=True)
    assert kept() == 5


def test_the_time_of_a_run_is_counted_over_all_resumes(photos, tmp_path):
    train_tokenizer(tiny_training("--run.steps", "1"), photos, tmp_path, quiet=True)
    path = tmp_path / "state.safetensors"
    saved = read_tensors(path, "training state")
    known = {"step": 1, "best_score": saved.header["best_score"], "elapsed_s": 5000.0}
    write_tensors(path, "training state", saved.tensors, **known)
    train_tokenizer(tiny_training("--run.steps", "2"), photos, tmp_path, resume=True, quiet=True)
    assert read_tensors(path, "training state").header["elapsed_s"] > 5000


def test_a_run_whose_time_is_up_stays_as_it_is(photos, tmp_path):
    config = tiny_training("--run.steps", "100000", "--run.time_limit_s", "0.001")
    train_tokenizer(config, photos, tmp_path, quiet=True)
    saved = read_tensors(tmp_path / "state.safetensors", "training state")
    assert saved.header["step"] == 1
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.safetensors")}
    train_tokenizer(config, photos, tmp_path, resume=True, quiet=True)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.safetensors")} == before


@pytest.mark.parametrize("num_validation", [0, 2])
def test_a_run_that_was_killed_at_its_end_is_completed(photos, tmp_path, num_validation):
    config = tiny_training("--num_validation", str(num_validation))
    best = train_tokenizer(config, photos, tmp_path, quiet=True)
    last = tmp_path / "last.safetensors"
    model = last.read_bytes()
    for path in {best, last}:
        path.unlink()
    state = (tmp_path / "state.safetensors").read_bytes()
    assert train_tokenizer(config, photos, tmp_path, resume=True, quiet=True).is_file()
    assert last.read_bytes() == model
    assert (tmp_path / "state.safetensors").read_bytes() == state


def test_a_run_whose_best_model_was_taken_away_gets_another(photos, tmp_path, monkeypatch):
    best = train_tokenizer(tiny_training(), photos, tmp_path, quiet=True)
    best.unlink()
    worse = Validation(-1e9, {}, None, "")
    monkeypatch.setattr(TokenizerTask, "validate", lambda *_: worse)
    train_tokenizer(tiny_training("--run.steps", "7"), photos, tmp_path, resume=True, quiet=True)
    assert read_tensors(best, "tokenizer").header["notes"]["step"] == 7


def test_a_resume_with_the_state_of_another_model_leaves_the_config(photos, tmp_path):
    other = tiny_training("--tokenizer.quantizer.codebook_size", "8", "--run.steps", "1")
    for name, config in (("run", tiny_training("--run.steps", "1")), ("other", other)):
        train_tokenizer(config, photos, tmp_path / name, quiet=True)
    shutil.copy(tmp_path / "other" / "state.safetensors", tmp_path / "run")
    before = (tmp_path / "run" / "config.json").read_bytes()
    with pytest.raises(CheckpointError, match="does not fit"):
        train_tokenizer(tiny_training(), photos, tmp_path / "run", resume=True, quiet=True)
    assert (tmp_path / "run" / "config.json").read_bytes() == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_hardware_that_is_not_there_is_one_line(photos, tmp_path):
    config = tiny_training("--run.accelerator", "cuda")
    with pytest.raises(ConfigError, match="there is no CUDA device to train on"):
        train_tokenizer(config, photos, tmp_path, quiet=True)


def test_a_state_is_saved_after_its_model(photos, tmp_path, monkeypatch):
    def fail(path, state):
        raise OSError("no room is left")

    monkeypatch.setattr(loop, "save_state", fail)
    with pytest.raises(OSError, match="no room"):
        train_tokenizer(tiny_training("--run.steps", "1"), photos, tmp_path, quiet=True)
    assert load_tokenizer(tmp_path / "last.safetensors").quantizer.codebook.initialised


def test_a_run_does_not_go_on_with_other_images(photos, tmp_path):
    images = shutil.copytree(photos, tmp_path / "images")
    train_tokenizer(tiny_training(), images, tmp_path / "run", quiet=True)
    further = tiny_training("--run.steps", "8")
    moved = images.rename(tmp_path / "moved")
    train_tokenizer(further, moved, tmp_path / "run", resume=True, quiet=True)
    shutil.copy(moved / "0.png", moved / "another.png")
    before = (tmp_path / "run" / "config.json").read_bytes()
    assert saved_config(tmp_path / "run", TokenizerTrainingConfig)[0] == further
    longer = tiny_training("--run.steps", "9")
    with pytest.raises(TrainingError, match="begun with other images"):
        train_tokenizer(longer, moved, tmp_path / "run", resume=True, quiet=True)
    assert (tmp_path / "run" / "config.json").read_bytes() == before


def test_a_gradient_that_is_not_finite_stops_before_it_reaches_the_weights(
    photos, tmp_path, monkeypatch
):
    def broken(self, model, batch, generator):
        value = loss(self, model, batch, generator)
        steps.append(1)
        if len(steps) == 4:  # a loss that is finite
            next(model.parameters()).register_hook(lambda gradient: gradient * math.inf)
        return value

    steps, loss = [], TokenizerTask.loss
    monkeypatch.setattr(TokenizerTask, "loss", broken)
    with pytest.raises(TrainingError, match=r"the gradient is (nan|inf) at step 3"):
        train_tokenizer(tiny_training("--run.save_every", "2"), photos, tmp_path, quiet=True)
    state = read_tensors(tmp_path / "state.safetensors", "training state")
    assert state.header["step"] == 2
    assert all(tensor.isfinite().all() for tensor in state.tensors.values())


def test_an_interrupt_in_the_last_validation_saves_all_the_same(photos, tmp_path, monkeypatch):
    def interrupted(self, model):
        if (tmp_path / "state.safetensors").exists():
            signal.raise_signal(signal.SIGINT)
        return validate(self, model)

    validate = TokenizerTask.validate
    monkeypatch.setattr(TokenizerTask, "validate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_tokenizer(tiny_training(), photos, tmp_path, quiet=True)
    assert read_tensors(tmp_path / "state.safetensors", "training state").header["step"] == 6


def test_none_of_the_held_out_images_can_be_read(photos, tmp_path):
    images = shutil.copytree(photos, tmp_path / "images")
    held_out = split(open_image_set(images), 2, tiny_training().run.seed)[1]
    for number in range(2):
        (images / held_out.key(number)).write_text("no image")
    with pytest.raises(DataError, match="none of the 2 images held out"):
        train_tokenizer(tiny_training(), images, tmp_path / "run", quiet=True)
