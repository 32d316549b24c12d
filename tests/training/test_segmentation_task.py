import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from loopyvq.checkpoint import load_tokenizer
from loopyvq.config import parse_config
from loopyvq.data import one_hot
from loopyvq.errors import TrainingError
from loopyvq.losses.label_maps import label_map_loss
from loopyvq.models import Tokenizer
from loopyvq.training import SegmentationTask, SegmentationTrainingConfig, train_segmentation
from loopyvq.training.run_folder import saved_config
from tests.training.conftest import TINY

TAMING = {"base_channels": 32, "multipliers": [1, 1], "blocks": 1, "attention_levels": []}
TAMING |= {"latent_channels": 8, "resolution": 32}


def tiny_segmentation(*words):
    values = {**TINY, "labels": {"num_labels": 5}, "taming": TAMING}
    return parse_config(SegmentationTrainingConfig, values, words)


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    generator = np.random.default_rng(0)
    for number in range(8):
        blocks = generator.integers(0, 5, (4, 5)).repeat(10, axis=0).repeat(9, axis=1)
        Image.fromarray(blocks.astype(np.uint8)).save(folder / f"{number}.png")
    return folder


def task_of(config, validation=()):
    torch.manual_seed(0)
    return SegmentationTask(config, Tokenizer(config.networks), validation)


def test_the_loss_is_cross_entropy_and_what_the_latents_cost():
    config = tiny_segmentation("--label_weight", "3")
    task = task_of(config)
    labels = torch.randint(5, (2, 32, 32), generator=torch.Generator().manual_seed(0))
    found = task.loss(task.model, labels, torch.Generator().manual_seed(1))
    assert found.requires_grad
    again = task_of(config)
    generator = torch.Generator().manual_seed(1)
    torch.randint(2**62, (), generator=generator)  # the seed of dropout
    passed = again.reconstruct(again.model, one_hot(labels, 5), generator)
    apart = label_map_loss(passed.result.image, one_hot(labels, 5))
    assert torch.allclose(found, 3 * apart + passed.regularisation)
    values, shown = task.measure()
    assert 0 <= values["accuracy_percent"] <= 100
    assert shown["right"].endswith("%")


def test_judging_and_showing():
    task = task_of(tiny_segmentation())
    labels = torch.tensor([[[0, 1], [4, 4]]], dtype=torch.uint8)
    truth = task.batch_of(labels)
    assert truth.shape == (1, 5, 2, 2)
    assert task.judge(10 * truth, truth) == 100
    wrong = task.batch_of(torch.tensor([[[0, 1], [4, 3]]], dtype=torch.uint8))
    assert task.judge(wrong, truth) == 75
    assert torch.equal(task.show(truth)[:, 1, 0], task.show(truth)[:, 1, 1])
    assert not torch.equal(task.show(truth)[:, 0, 0], task.show(truth)[:, 0, 1])


@pytest.mark.parametrize("architecture", ["loopy", "taming"])
def test_a_whole_training_leaves_a_tokenizer_of_label_maps(maps, tmp_path, architecture):
    words = ["--architecture", architecture, "--run.steps", "8"]
    if architecture == "taming":
        words += ["--budget.kind", "full"]
    config = tiny_segmentation(*words)
    best = train_segmentation(config, maps, tmp_path / "run", quiet=True)
    tokenizer = load_tokenizer(best)
    assert tokenizer.config.label_maps
    assert tokenizer.config == config.networks
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert any("validation_accuracy_percent_at_2" in line for line in found)
    assert all(math.isfinite(line["loss"]) for line in found if "loss" in line)
    assert saved_config(tmp_path / "run", SegmentationTrainingConfig)[0] == config
    with pytest.raises(TrainingError, match="holds a run already"):
        train_segmentation(config, maps, tmp_path / "run", quiet=True)


@pytest.mark.slow
def test_it_learns(maps, tmp_path):
    config = tiny_segmentation(
        *("--run.steps", "120", "--optim.learning_rate", "1e-2", "--run.validate_every", "120"),
        *("--label_weight", "10", "--run.average_decay", "0.9"),
    )
    train_segmentation(config, maps, tmp_path / "run", quiet=True)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    score = next(
        json.loads(line)["validation_score"] for line in lines if "validation_score" in line
    )
    assert score > 30  # a guess gets 20


def test_dropout_is_a_function_of_seed_and_step():
    config = tiny_segmentation("--architecture", "taming", "--taming.dropout", "0.5")
    labels, found = torch.randint(5, (2, 32, 32)), []
    for other in (1, 2):
        task = task_of(config)
        torch.manual_seed(other)
        found.append(task.loss(task.model, labels, torch.Generator().manual_seed(3)))
    assert torch.equal(*found)


def test_a_palette_is_found_from_another_folder(maps, tmp_path, monkeypatch):
    (tmp_path / "colours.txt").write_text("\n".join(f"{shade} 0 0" for shade in range(5)))
    painted = tmp_path / "painted"
    painted.mkdir()
    for path in sorted(maps.glob("*.png")):
        labels = np.asarray(Image.open(path))
        Image.fromarray(np.stack([labels, 0 * labels, 0 * labels], 2)).save(painted / path.name)
    monkeypatch.chdir(tmp_path)
    config = tiny_segmentation("--labels.palette", "colours.txt", "--run.steps", "2")
    train_segmentation(config, "painted", tmp_path / "run", quiet=True)
    monkeypatch.chdir("/")
    saved, data = saved_config(tmp_path / "run", SegmentationTrainingConfig)
    assert saved.labels.palette == str(tmp_path / "colours.txt")
    further = replace(saved, run=replace(saved.run, steps=3))
    train_segmentation(further, data, tmp_path / "run", resume=True, quiet=True)
