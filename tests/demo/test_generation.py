"""The demonstration of a prior, with tiny models: run once, looked at from all sides."""

import contextlib
import copy
import io
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

import loopyvq.demo.generation as demo
from loopyvq.cli.main import main
from loopyvq.data import to_pil
from loopyvq.demo.drawn import GenerationDemo
from loopyvq.errors import ConfigError


def shortened(config: dict, **run: object) -> dict:
    changed = copy.deepcopy(config)
    changed["run"] |= {"steps": 4, "batch_size": 4, "validate_every": 2, "log_every": 1, **run}
    changed["run"]["accelerator"] = "cpu"
    return changed


class Outcome(NamedTuple):
    folder: Path
    printed: str
    result: GenerationDemo


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("generate")
    generator = torch.Generator().manual_seed(0)
    for number in range(40):
        name = folder / "images" / ("dark", "light")[number % 2]
        name.mkdir(parents=True, exist_ok=True)
        pixels = torch.rand(1, 16, 16, generator=generator) * 60 + 150 * (number % 2)
        to_pil(pixels.to(torch.uint8)).save(name / f"{number}.png")
    results = []
    run_generation = demo.run_generation

    def keep_result(*args: object, **options: object) -> GenerationDemo:
        results.append(run_generation(*args, **options))  # type: ignore[arg-type]
        return results[0]

    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        patch.setattr(demo, "TOKENIZER_CONFIG", shortened(demo.TOKENIZER_CONFIG))
        patch.setattr(demo, "PRIOR_CONFIG", shortened(demo.PRIOR_CONFIG))
        patch.setattr(demo, "_SAMPLES", 6)
        patch.setattr(demo, "_COMPLETIONS", 2)
        patch.setattr(demo, "run_generation", keep_result)
        words = ["demo", "--generate", "--data", str(folder / "images")]
        assert main([*words, "--out", str(folder / "out"), "--quiet"]) == 0
    return Outcome(folder / "out", out.getvalue(), results[0])


def test_samples_are_images_of_each_class_in_turn(outcome: Outcome) -> None:
    result = outcome.result
    assert result.samples.shape == (6, 1, 16, 16)
    assert result.tokens.lengths.shape == (6, 4, 4)
    assert result.model.source.class_names == ("dark", "light")
    assert result.num_training == 32
    assert result.moments[-1][0] == 16


def test_completions_keep_the_upper_half(outcome: Outcome) -> None:
    completions = outcome.result.completions
    assert len(completions) == 2
    for item in completions:
        assert item.original.shape == (1, 16, 16)
        assert item.drawn.shape == (3, 1, 16, 16)
        assert item.mask.sum() == 8


def test_the_command_writes_a_page_and_models(outcome: Outcome) -> None:
    page = outcome.folder / "generation.html"
    assert str(page) in outcome.printed
    text = page.read_text("utf-8")
    for words in ("dark, ", "light, ", outcome.result.prior_file, "Completions", "image/gif"):
        assert words in text
    assert Path(outcome.result.prior_file).is_file()
    assert (outcome.folder / "tokenizer" / "last.safetensors").is_file()


def test_the_models_are_there_to_go_on_with(outcome: Outcome, tmp_path: Path) -> None:
    words = ["sample", outcome.result.prior_file, "--count", "2", "--out", str(tmp_path)]
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(words) == 0
    assert (tmp_path / "00001.png").is_file()


@pytest.mark.parametrize("seconds", [0.0, float("inf"), float("nan")])
def test_a_demo_of_no_time_leaves_the_earlier_one(
    outcome: Outcome, tmp_path: Path, seconds: float
) -> None:
    folder = shutil.copytree(outcome.folder, tmp_path / "out")
    with pytest.raises(ConfigError, match="seconds must be above 0 and finite"):
        demo.run_generation(folder, outcome.folder.parent / "images", seconds=seconds)
    assert (folder / "prior" / "state.safetensors").exists()


def test_a_demo_may_replace_another_one_that_has_moved(outcome: Outcome, tmp_path: Path) -> None:
    folder = shutil.copytree(outcome.folder, tmp_path / "out")
    demo._clear(folder)
    assert not list(folder.rglob("state.safetensors"))
    assert not (folder / "tokens" / "tokens.json").exists()


def test_a_prior_of_tokens_that_are_gone_stays(tmp_path: Path, outcome: Outcome) -> None:
    shutil.copytree(outcome.folder / "prior", tmp_path / "prior")
    with pytest.raises(ConfigError, match="that no demo of this version wrote"):
        demo._clear(tmp_path)
    assert (tmp_path / "prior" / "state.safetensors").exists()


@pytest.mark.parametrize("part", ["tokenizer", "tokens", "prior"])
def test_what_no_demo_wrote_stays(tmp_path: Path, outcome: Outcome, part: str) -> None:
    shutil.copytree(outcome.folder / part, tmp_path / part)
    (tmp_path / part / "config.json").write_text('{"data": "photos"}')
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match="that no demo of this version wrote"):
        demo.run_generation(tmp_path, outcome.folder.parent / "images", quiet=True)
    assert sorted(tmp_path.rglob("*")) == before
