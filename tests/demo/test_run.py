import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from torch import Tensor

import loopyvq.demo.run as demo
from loopyvq.cli.main import main
from loopyvq.data import ImageSet, Subset, open_image_set
from loopyvq.demo.result import DemoResult
from loopyvq.errors import ConfigError, DataError
from loopyvq.training import train_tokenizer
from tests.training.conftest import TINY, tiny_training

CONFIG = {**TINY, "run": {**TINY["run"], "steps": 3}, "num_validation": 0}


class Cropped(ImageSet):
    """The middle of other images, with a record of what was read."""

    def __init__(self, source: ImageSet) -> None:
        super().__init__()
        self.source = source
        self.was_read: set[str] = set()

    def __len__(self) -> int:
        return len(self.source)

    def key(self, index: int) -> str:
        return self.source.key(index)

    def read(self, index: int) -> Tensor:
        self.was_read.add(self.key(index))
        return self.source.read(index)[:, 100:196, 150:246].clone()


class Outcome(NamedTuple):
    folder: Path
    printed: str
    result: DemoResult
    trained_on: set[str]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Run the command once, with a tiny model and small photographs."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    images = Cropped(open_image_set("samples"))
    run_demo, train_tokenizer = demo.run_demo, demo.train_tokenizer
    results: list[DemoResult] = []
    trained_on: set[str] = set()

    def keep_result(*args: object, **options: object) -> DemoResult:
        results.append(run_demo(*args, **options))  # type: ignore[arg-type]
        return results[0]

    def keep_reads(*args: object, **options: object) -> Path:
        images.was_read.clear()
        path = train_tokenizer(*args, **options)  # type: ignore[arg-type]
        trained_on.update(images.was_read)
        return path

    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        patch.setattr(demo, "DEMO_CONFIG", CONFIG)
        patch.setattr(demo, "open_image_set", lambda _: images)
        patch.setattr(demo, "train_tokenizer", keep_reads)
        patch.setattr(demo, "run_demo", keep_result)
        assert main(["demo", "--train", "--out", str(folder), "--quiet"]) == 0
    return Outcome(folder, out.getvalue(), results[0], trained_on)


def test_held_out_photographs_are_not_trained_on(outcome: Outcome) -> None:
    names = {Path(key).stem for key in outcome.trained_on}
    assert names
    assert names <= set(outcome.result.training_photos)
    assert not set(demo.HELD_OUT) & set(outcome.result.training_photos)
    assert len(outcome.result.training_photos) == 5
    assert [photo.name for photo in outcome.result.photos] == list(demo.HELD_OUT)


def test_five_points_from_coarse_to_fine(outcome: Outcome) -> None:
    points = outcome.result.points
    thresholds = [point.threshold for point in points]
    assert len(thresholds) == 5
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds == [float(f"{threshold:.2g}") for threshold in thresholds]
    assert {point.num_images for point in points} == {2}
    for photo in outcome.result.photos:
        assert [result.point.threshold for result in photo.results] == thresholds
        assert all(result.reconstruction.shape == (3, 96, 96) for result in photo.results)


def test_fixed_depths_are_all_depths(outcome: Outcome) -> None:
    depths = outcome.result.fixed_depth
    assert [point.depth for point in depths] == [1, 2, 3, 4]
    assert [point.tokens_per_site for point in depths] == [1.0, 2.0, 3.0, 4.0]


def test_the_training_is_told(outcome: Outcome) -> None:
    result = outcome.result
    saved = json.loads((outcome.folder / "config.json").read_text())["config"]
    assert result.seed == saved["run"]["seed"]
    assert saved["run"]["time_limit_s"] == 120
    assert result.model_file == str(outcome.folder / "last.safetensors")
    assert Path(result.model_file).is_file()
    assert result.steps == 3
    assert result.training_s > 0
    assert result.num_parameters > 0


def test_the_command_writes_the_page(outcome: Outcome) -> None:
    page = (outcome.folder / "report.html").read_text("utf-8")
    assert str(outcome.folder / "report.html") in outcome.printed
    for words in (outcome.result.model_file, *outcome.result.training_photos, *demo.HELD_OUT):
        assert words in page


def test_a_demo_of_no_time(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="seconds must be above 0"):
        demo.run_demo(tmp_path, seconds=0.0)


def test_held_out_photographs_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = Subset(open_image_set("samples"), [0, 1, 3])
    monkeypatch.setattr(demo, "open_image_set", lambda _: some)
    with pytest.raises(DataError, match="coffee are not installed"):
        demo.run_demo(tmp_path)


def test_a_demo_replaces_an_earlier_one(
    outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(outcome.folder, tmp_path / "again")
    monkeypatch.setattr(demo, "DEMO_CONFIG", CONFIG)
    monkeypatch.setattr(demo, "open_image_set", lambda _: Cropped(open_image_set("samples")))
    again = demo.run_demo(folder, quiet=True)
    assert again.points == outcome.result.points


def test_a_run_that_no_demo_wrote_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "DEMO_CONFIG", CONFIG)
    images = Cropped(open_image_set("samples"))
    train_tokenizer(tiny_training("--run.steps", "1"), images, tmp_path, quiet=True)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(demo, "open_image_set", lambda _: images)
    with pytest.raises(ConfigError, match="holds a run that no demo"):
        demo.run_demo(tmp_path, quiet=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
