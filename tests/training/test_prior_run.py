import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from loopyvq.checkpoint import load_prior, load_tokenizer, load_tokenizer_of, prior_source
from loopyvq.config import config_to_dict
from loopyvq.data.token_draws import is_held_out
from loopyvq.errors import CheckpointError, ConfigError, DataError, TrainingError
from loopyvq.tensor_file import read_tensors
from loopyvq.training import PriorTask, PriorTrainingConfig, train_prior, train_tokenizer
from loopyvq.training.run_folder import saved_config
from tests.training.conftest import lines, tiny_training
from tests.training.prior_tokens import SOURCE, tiny_prior_training, write_patterned_shards


class Killed(BaseException):
    """What ends a run as abruptly as a power cut, but lets the test go on."""


@pytest.fixture
def shards(tmp_path):
    return write_patterned_shards(tmp_path / "shards")


def without_times(folder):
    return [{k: v for k, v in line.items() if k != "images_per_s"} for line in lines(folder)]


def state_of(folder):
    return read_tensors(folder / "state.safetensors", "training state")


def same_weights(one, other):
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        assert torch.equal(other.tensors[name], tensor), name


def kill_after(last, monkeypatch):
    """Let a run die in a step, before what it did is saved."""
    steps = [0]

    def die(self):
        steps[0] += 1
        if steps[0] == last:
            raise Killed

    monkeypatch.setattr(PriorTask, "after_step", die)


@pytest.mark.parametrize("kind", ["site", "flat"])
def test_a_run_learns_and_leaves_a_prior(shards, tmp_path, kind):
    words = ("--kind", kind, "--run.steps", "60", "--optim.learning_rate", "1e-2")
    best = train_prior(tiny_prior_training(*words), shards, tmp_path / "run", quiet=True)
    assert best == tmp_path / "run" / "best.safetensors"
    measured = lines(tmp_path / "run")
    first, last = measured[0], measured[-2]
    assert last["nats_per_site"] < 0.7 * first["nats_per_site"]
    assert 0 < last["stop_bpp"] < last["rate_bpp"]
    judged = [line for line in measured if "validation_rate_bpp" in line]
    assert judged[-1]["validation_score"] == -judged[-1]["validation_nats_per_site"]
    assert {"training_nats_per_site", "gap_share", "validation_stop_bpp"} <= judged[-1].keys()
    prior = load_prior(best)
    assert prior.config.condition.classes == 2
    assert prior_source(tmp_path / "run").tokenizer == SOURCE.tokenizer
    # The shards' hint starts at the shards, that of the prior at the prior.
    assert prior_source(best).tokenizer_path == "../tokenizer.safetensors"
    assert saved_config(tmp_path / "run", PriorTrainingConfig)[0] == tiny_prior_training(*words)


@pytest.mark.parametrize(
    "words",
    [
        ("--run.accumulate", "2", "--site.transformer.residual_dropout", "0.2"),
        ("--kind", "flat", "--run.precision", "bf16-mixed"),
        ("--site.lengths", "first", "--site.condition.dropout", "0.5"),
    ],
)
def test_killed_and_resumed_is_bit_identical_to_straight(shards, tmp_path, monkeypatch, words):
    config = tiny_prior_training("--run.steps", "10", "--run.save_every", "2", *words)
    train_prior(config, shards, tmp_path / "straight", quiet=True)
    kill_after(6, monkeypatch)
    with pytest.raises(Killed):
        train_prior(config, shards, tmp_path / "killed", quiet=True)
    monkeypatch.undo()
    assert state_of(tmp_path / "killed").header["step"] == 4
    torch.manual_seed(99)
    train_prior(config, shards, tmp_path / "killed", resume=True, quiet=True)
    same_weights(state_of(tmp_path / "straight"), state_of(tmp_path / "killed"))
    assert without_times(tmp_path / "killed") == without_times(tmp_path / "straight")


@pytest.mark.parametrize("kind", ["site", "flat"])
def test_a_run_starts_from_another(shards, tmp_path, kind):
    words = ("--kind", kind, "--run.steps", "30", "--optim.learning_rate", "1e-2")
    first = train_prior(tiny_prior_training(*words), shards, tmp_path / "first", quiet=True)
    words = ("--kind", kind, "--run.steps", "1", "--run.validate_every", "1", "--start_from")
    slow = ("--optim.learning_rate", "1e-9")
    config = tiny_prior_training(*words, str(tmp_path / "first"), *slow)
    train_prior(config, shards, tmp_path / "second", quiet=True)
    best = max(line.get("validation_score", -9.0) for line in lines(tmp_path / "first"))
    again = lines(tmp_path / "second")[-1]["validation_score"]
    assert again == pytest.approx(best, abs=1e-4)
    first.rename(tmp_path / "moved.safetensors")  # what goes on needs it no more
    (tmp_path / "first" / "last.safetensors").unlink()
    further = replace(config, run=replace(config.run, steps=2))
    train_prior(further, shards, tmp_path / "second", resume=True, quiet=True)
    assert state_of(tmp_path / "second").header["step"] == 2
    (tmp_path / "moved.safetensors").rename(first)
    other = tiny_prior_training(*words, str(first), f"--{kind}.transformer.width", "32")
    with pytest.raises(CheckpointError, match="does not fit its config"):
        train_prior(other, shards, tmp_path / "third", quiet=True)


def test_workers_change_nothing(shards, tmp_path):
    for workers in ("0", "1"):
        config = tiny_prior_training("--run.workers", workers, "--run.steps", "3")
        train_prior(config, shards, tmp_path / workers, quiet=True)
    same_weights(*(read_tensors(tmp_path / name / "last.safetensors", "prior") for name in "01"))


def test_without_validation_the_last_model_is_the_result(shards, tmp_path):
    config = tiny_prior_training("--validation_share", "0")
    best = train_prior(config, shards, tmp_path / "run", quiet=True)
    assert best.name == "last.safetensors"
    assert not (tmp_path / "run" / "best.safetensors").exists()


def test_tokens_are_made_of_images_on_the_way(photos, tmp_path, monkeypatch):
    made = train_tokenizer(tiny_training("--run.steps", "3"), photos, tmp_path / "tok", quiet=True)
    words = ("--images.tokenizer", str(made), "--images.crop.size", "32", "--run.batch_size", "4")
    words += ("--images.threshold", "0.4", "--validation_share", "0.3")
    config = tiny_prior_training(*words)
    best = train_prior(config, photos, tmp_path / "run", quiet=True)
    source = prior_source(best)
    assert (source.rows, source.threshold, source.max_depth) == (4, 0.4, 4)
    assert load_tokenizer_of(best).config.quantizer.codebook_size == 16
    kill_after(5, monkeypatch)
    with pytest.raises(Killed):
        train_prior(config, photos, tmp_path / "killed", quiet=True)
    monkeypatch.undo()
    train_prior(config, photos, tmp_path / "killed", resume=True, quiet=True)
    same_weights(state_of(tmp_path / "run"), state_of(tmp_path / "killed"))


def test_the_samples_are_named_by_a_word(tmp_path):
    with pytest.raises(CheckpointError, match="nowhere"):
        train_prior(tiny_prior_training("--images.tokenizer", "nowhere"), "samples", tmp_path)
    words = ["--images.tokenizer", "photo-f8", "--run.steps", "1", "--images.crop.size", "16"]
    best = train_prior(tiny_prior_training(*words), "samples", tmp_path / "run", quiet=True)
    assert best.is_file()


def test_what_does_not_fit_is_refused(shards, photos, tmp_path):
    with pytest.raises(ConfigError, match="name the model that makes tokens"):
        train_prior(tiny_prior_training(), photos, tmp_path / "a", quiet=True)
    with pytest.raises(ConfigError, match="leave out the tokenizer"):
        train_prior(tiny_prior_training("--images.tokenizer", "x"), shards, tmp_path / "a")
    with pytest.raises(CheckpointError, match="no file"):
        train_prior(tiny_prior_training("--images.tokenizer", "x"), photos, tmp_path / "a")
    with pytest.raises(DataError, match="no images to draw from"):
        train_prior(tiny_prior_training("--validation_share", "0.999"), shards, tmp_path / "a")
    words = ("--validation_share", "0.999", "--images.tokenizer", "photo-f8")
    with pytest.raises(DataError, match=r"validation_share 0\.999 holds out all of 8 images"):
        train_prior(tiny_prior_training(*words), photos, tmp_path / "a")
    with pytest.raises(TrainingError, match="no saved state"):
        train_prior(tiny_prior_training(), shards, tmp_path / "a", resume=True)
    with pytest.raises(ConfigError, match="other options of images"):
        train_prior(tiny_prior_training("--images.threshold", "1"), shards, tmp_path / "a")
    train_prior(tiny_prior_training("--run.steps", "1"), shards, tmp_path / "b", quiet=True)
    with pytest.raises(TrainingError, match="holds a run already"):
        train_prior(tiny_prior_training(), shards, tmp_path / "b", quiet=True)
    remade = write_patterned_shards(tmp_path / "remade", source=replace(SOURCE, threshold=0.7))
    with pytest.raises(TrainingError, match="begun with other tokens"):
        train_prior(tiny_prior_training(), remade, tmp_path / "b", resume=True, quiet=True)


def test_a_run_does_not_go_on_with_tokens_of_other_images(shards, tmp_path):
    train_prior(tiny_prior_training("--run.steps", "1"), shards, tmp_path / "run", quiet=True)
    before = (tmp_path / "run" / "config.json").read_bytes()
    more = write_patterned_shards(tmp_path / "more", images=62)
    with pytest.raises(TrainingError, match="begun with other tokens than"):
        train_prior(tiny_prior_training(), more, tmp_path / "run", resume=True, quiet=True)
    assert (tmp_path / "run" / "config.json").read_bytes() == before
    values = json.loads(before)
    (tmp_path / "run" / "config.json").write_text(json.dumps({**values, "images": ""}))
    train_prior(tiny_prior_training(), more, tmp_path / "run", resume=True, quiet=True)


def test_a_run_does_not_go_on_with_other_images(photos, tmp_path):
    words = ("--images.tokenizer", "photo-f8", "--images.crop.size", "32", "--run.steps", "1")
    config = tiny_prior_training(*words, "--validation_share", "0")
    images = shutil.copytree(photos, tmp_path / "images")
    train_prior(config, images, tmp_path / "run", quiet=True)
    train_prior(config, images, tmp_path / "run", resume=True, quiet=True)
    (images / "0.png").unlink()
    with pytest.raises(TrainingError, match="begun with other images"):
        train_prior(config, images, tmp_path / "run", resume=True, quiet=True)


@pytest.mark.parametrize("is_unseen", [True, False])
def test_the_images_that_cannot_be_read_are_named(photos, tmp_path, is_unseen):
    images = shutil.copytree(photos, tmp_path / "images")
    for number in is_held_out(torch.arange(8), 0.3).eq(is_unseen).nonzero().flatten().tolist():
        (images / f"{number}.png").write_text("no image")
    words = ("--images.tokenizer", "photo-f8", "--images.crop.size", "32")
    message = "images held out for validation can" if is_unseen else "images to train on can"
    with pytest.raises(DataError, match=message):
        train_prior(tiny_prior_training(*words, "--validation_share", "0.3"), images, tmp_path)


def test_other_images_stand_in_for_a_broken_one(photos, tmp_path):
    images = shutil.copytree(photos, tmp_path / "images")
    (images / "0.png").write_text("no image")  # the only one that would be looked at
    words = ("--images.tokenizer", "photo-f8", "--images.crop.size", "32", "--run.steps", "1")
    config = tiny_prior_training(*words, "--validation_share", "0.1")
    train_prior(config, images, tmp_path / "run", quiet=True)


def test_the_model_in_the_box_is_found_by_its_name(photos, tmp_path):
    words = ("--images.tokenizer", "photo-f8", "--images.crop.size", "32", "--run.steps", "1")
    best = train_prior(tiny_prior_training(*words), photos, tmp_path / "run", quiet=True)
    assert prior_source(best).codebook_size == load_tokenizer("photo-f8").quantizer.codebook_size
    assert saved_config(tmp_path / "run", PriorTrainingConfig)[0].images.tokenizer == "photo-f8"


def test_a_loss_that_is_not_finite_stops_with_the_batch_saved(shards, tmp_path):
    config = tiny_prior_training("--optim.learning_rate", "1e30", "--optim.warmup_steps", "0")
    with pytest.raises(TrainingError, match="the batch was saved"):
        train_prior(config, shards, tmp_path, quiet=True)
    saved = read_tensors(tmp_path / "nonfinite_batch_rank0.safetensors", "batch")
    assert saved.tensors["tokens.codes"].shape == (8, 3, 3, 3)
    assert saved.tensors["condition.classes"].shape == (8,)


@pytest.mark.slow
def test_two_processes_learn_one_prior(shards, tmp_path):
    """Under torchrun two processes of half the batch end about where one process does."""
    config = tiny_prior_training("--run.devices", "2", "--site.condition.dropout", "0")
    (tmp_path / "config.json").write_text(json.dumps(config_to_dict(config)))
    words = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "loopyvq",
        "train", "prior", str(tmp_path / "config.json"), "--data", str(shards),
        "--out", str(tmp_path / "run"), "--quiet",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    both = state_of(tmp_path / "run")
    alone = tiny_prior_training("--site.condition.dropout", "0")
    train_prior(alone, shards, tmp_path / "alone", quiet=True)
    single = state_of(tmp_path / "alone")
    assert both.header["step"] == single.header["step"] == 6
    for name, tensor in single.tensors.items():
        if name.startswith("average."):
            assert torch.allclose(both.tensors[name], tensor, atol=0.02), name
