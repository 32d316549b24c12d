import math

import pytest
import torch

from loopyvq.errors import ConfigError
from loopyvq.models import Tokenizer
from loopyvq.training import TokenizerTask
from tests.training.conftest import tiny_training


def make(*words: str) -> TokenizerTask:
    config = tiny_training(*words)
    torch.manual_seed(0)
    validation = [torch.randint(0, 256, (3, 20, 33), dtype=torch.uint8) for _ in range(2)]
    return TokenizerTask(config, Tokenizer(config.tokenizer), validation)


IMAGES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


def loss_of(task: TokenizerTask, seed: int = 0) -> torch.Tensor:
    return task.loss(task.model, IMAGES, torch.Generator().manual_seed(seed))


def test_the_loss_depends_on_the_generator_alone():
    task = make()
    task.model(IMAGES)  # starts the codebook
    task.tokenizer.quantizer.freeze()
    assert torch.equal(loss_of(task, 1), loss_of(task, 1))
    assert not torch.equal(loss_of(task, 1), loss_of(task, 2))


def test_the_quantizer_learns_once_per_step_however_many_passes():
    task = make()
    for _ in range(3):
        loss_of(task).backward()
    assert int(task.tokenizer.quantizer.codebook.updates) == 0
    task.after_step()
    assert int(task.tokenizer.quantizer.codebook.updates) == 1


@pytest.mark.parametrize("weight", ["--rate_weight", "--scale_weight"])
def test_each_weight_adds_its_term(weight):
    plain = loss_of(make("--scale_weight", "0"))
    more = loss_of(make("--scale_weight", "0", weight, "3.0"))
    assert more > plain


@pytest.mark.slow
def test_the_scale_term_holds_the_scale():
    energies = {}
    for weight in ("0.0", "1.0"):
        task = make("--scale_weight", weight)
        optimizer = torch.optim.Adam(task.model.parameters(), 0.01)
        for step in range(60):
            optimizer.zero_grad()
            loss_of(task, step).backward()
            optimizer.step()
            task.after_step()
        energy = task.tokenizer.latents(IMAGES).detach().square().sum(-1).mean()
        energies[weight] = float(energy.log().abs())
    assert energies["1.0"] < 0.7
    assert energies["1.0"] < energies["0.0"]


def test_measurements_are_those_of_the_last_batch():
    task = make()
    assert task.measure() == ({}, {})
    loss = loss_of(task)
    values, shown = task.measure()
    assert values["loss"] == pytest.approx(float(loss.detach()))
    assert values["rate_bpp"] > 0
    assert values["stop_bpp"] < values["rate_bpp"]
    assert len(values["usage_per_turn"]) == 4
    assert set(shown) == {"loss", "PSNR", "length", "bpp"}


def test_validation_scores_held_out_images_and_paints_them():
    task = make()
    loss_of(task)
    found = task.validate(task.model.eval())
    assert found is not None
    read = [
        found.values[f"validation_psnr_db_at_{length}"]
        + 2.4 * math.log2(0.25 / found.values[f"validation_rate_bpp_at_{length}"])
        for length in (1, 2, 4)
    ]
    assert found.score == pytest.approx(sum(read) / 3)  # all at a quarter of a bit per pixel
    assert found.panel.shape[0] == 3
    assert found.panel.shape[1] == 4 + 2 * (20 + 4)
    with pytest.raises(TypeError, match="Tokenizer"):
        task.validate(torch.nn.Linear(1, 1))


def test_nothing_held_out_is_nothing_to_validate():
    config = tiny_training()
    task = TokenizerTask(config, Tokenizer(config.tokenizer), [])
    assert task.validate(task.model) is None


@pytest.mark.parametrize(
    "words",
    [("--rate_weight", "-1"), ("--cue_dropout", "1.5"), ("--num_validation", "-1")],
)
def test_values_out_of_range_are_refused(words):
    with pytest.raises(ConfigError):
        tiny_training(*words)


def test_structural_similarity_needs_crops_of_a_window():
    words = "--loss.ms_ssim_weight", "1", "--crop.size"
    with pytest.raises(ConfigError, match=r"crop\.size of at least 11, got 8"):
        tiny_training(*words, "8")
    assert tiny_training(*words, "16").loss.ms_ssim_weight == 1
