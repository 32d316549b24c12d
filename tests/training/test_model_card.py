import re

import pytest
import torch

from loopyvq.config import parse_config, read_yaml
from loopyvq.training import (
    TokenizerTrainingConfig,
    VqganTrainingConfig,
    train_tokenizer,
    train_vqgan,
)
from loopyvq.training.model_card import CARD, TrainedOn, write_model_card
from tests.training.conftest import tiny_training
from tests.training.test_vqgan_task import tiny_gan

TRAINED = TrainedOn(3, 4.0, 1, "32-true", torch.device("cpu"), 1234)


@pytest.mark.parametrize("kind", ["tokenizer", "vqgan"])
def test_a_run_leaves_a_card_that_makes_it_again(photos, tmp_path, kind):
    config = tiny_training("--run.seed", "7") if kind == "tokenizer" else tiny_gan()
    train = train_tokenizer if kind == "tokenizer" else train_vqgan
    train(config, photos, tmp_path / "first", quiet=True)
    text = (tmp_path / "first" / CARD).read_text()
    assert text.startswith("# first\n")
    assert f"loopyvq train {kind} config.yaml --data {photos.name}" in text
    assert str(photos.parent) not in text
    assert f"| steps | 6 of {config.run.batch_size} draws each |" in text
    assert "validation psnr db at 1 |" in text
    (tmp_path / "config.yaml").write_text(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0])
    read = parse_config(type(config), read_yaml(tmp_path / "config.yaml"))
    assert isinstance(read, VqganTrainingConfig | TokenizerTrainingConfig)
    assert read == config


def test_without_validation_the_last_batch_speaks(tmp_path):
    (tmp_path / "config.json").write_text(
        '{"config": {"run": {"batch_size": 2, "seed": 0}}, "data": "x"}'
    )
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 0.5, "list": [1]}\n')
    text = write_model_card(tmp_path, TRAINED).read_text()
    assert "| loss | 0.5 |" in text
    assert "list" not in text
    assert "1,234" in text
    (tmp_path / "metrics.jsonl").unlink()
    assert "None were measured." in write_model_card(tmp_path, TRAINED).read_text()


def test_a_run_without_config_gets_none(tmp_path):
    assert write_model_card(tmp_path, TRAINED) is None
    assert not list(tmp_path.iterdir())


def test_a_card_that_was_edited_stays(tmp_path):
    (tmp_path / "config.json").write_text(
        '{"config": {"run": {"batch_size": 2, "seed": 0}}, "data": "x"}'
    )
    card = write_model_card(tmp_path, TRAINED)
    assert write_model_card(tmp_path, TRAINED._replace(steps=4)) == card
    assert "| steps | 4 of" in card.read_text()
    edited = card.read_text().replace("*say it here.*", "to look at \u00e9tudes", 1)
    card.write_text(edited, encoding="utf-8")
    beside = write_model_card(tmp_path, TRAINED._replace(steps=5))
    assert beside == tmp_path / "model_card.new.md"
    assert "| steps | 5 of" in beside.read_text()
    assert card.read_text(encoding="utf-8") == edited
    beside.write_text("of mine, too")
    assert write_model_card(tmp_path, TRAINED).name == "model_card.new2.md"
    assert beside.read_text() == "of mine, too"


def test_a_run_that_was_done_leaves_its_card(photos, tmp_path):
    config = tiny_training("--run.steps", "1", "--num_validation", "0")
    train_tokenizer(config, photos, tmp_path, quiet=True)
    (tmp_path / CARD).write_text("of mine")
    train_tokenizer(config, photos, tmp_path, resume=True, quiet=True)
    assert (tmp_path / CARD).read_text() == "of mine"
    assert not list(tmp_path.glob("model_card.new*"))


def test_a_run_that_was_killed_before_its_card_gets_one(photos, tmp_path):
    config = tiny_training("--run.steps", "1", "--num_validation", "0")
    train_tokenizer(config, photos, tmp_path, quiet=True)
    card = (tmp_path / CARD).read_text()
    (tmp_path / CARD).unlink()
    train_tokenizer(config, photos, tmp_path, resume=True, quiet=True)
    assert (tmp_path / CARD).read_text() == card
