import json
import shutil

import pytest
import torch

from loopyvq.data import open_image_set, to_pil
from loopyvq.evaluation.classifier import ClassifierConfig, SmallClassifier, save_classifier


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Two classes of small images, stripes up and down, that differ."""
    folder = tmp_path_factory.mktemp("real")
    generator = torch.Generator().manual_seed(0)
    wave = ((torch.arange(32) // 4) % 2 * 150).float()
    for number in range(24):
        name = ("Forest", "River")[number % 2]
        (folder / name).mkdir(exist_ok=True)
        image = (wave if number % 2 else wave[:, None]).expand(3, 32, 32)
        noisy = image + 100 * torch.rand(3, 32, 32, generator=generator)
        to_pil(noisy.to(torch.uint8)).save(folder / name / f"{number}.png")
    return folder


def evaluate(run, prior, real, out, *words):
    return run("evaluate", "generation", prior, "--data", real, "--out", out, *words)


def test_a_prior_is_compared_with_real_images(run, prior, real, tmp_path):
    code, out, err = evaluate(run, prior, real, tmp_path, "--classifier-steps", 20, "--count", 10)
    assert code == 0, err
    values = json.loads((tmp_path / "result.json").read_text())
    rows = {row["what"]: row for row in values["results"]}
    assert list(rows) == ["other real images", "reconstructions", "samples"]
    name = f"small-classifier({real.name})"
    assert {row["features"] for row in rows.values()} == {name}
    assert f"features: {name} (not FID)" in out
    assert {row["num_images"] for row in rows.values()} == {10}
    assert rows["other real images"]["frechet"] < rows["samples"]["frechet"]
    assert 0 <= rows["samples"]["class_share"] <= 1
    assert values["memorisation"] > 0
    nearest = open_image_set(tmp_path / "nearest.png").read(0)
    assert nearest.shape == (3, 2 + 10 * 34, 2 + 34 + 4 + 3 * 34)
    assert (tmp_path / "samples.png").is_file()


def test_features_of_an_earlier_evaluation(run, prior, real, tmp_path):
    words = ["--classifier-steps", 5, "--count", 8]
    assert evaluate(run, prior, real, tmp_path / "a", *words)[0] == 0
    more = ["--features", tmp_path / "a" / "classifier.safetensors", "--count", 8]
    code, out, err = evaluate(run, prior, real, tmp_path / "b", *more)
    assert code == 0, err
    assert "held-out" not in out
    assert not (tmp_path / "b" / "classifier.safetensors").exists()
    found = [(tmp_path / name / "result.json").read_text() for name in "ab"]
    assert found[0] == found[1]


def test_a_part_of_a_large_set(run, real, tmp_path):
    words = ["--classifier-steps", 5, "--count", 12, "--limit", 10]
    code, out, err = evaluate(run, real, real, tmp_path, *words)
    assert code == 0, err
    assert "of 2 held-out images" in out
    rows = json.loads((tmp_path / "result.json").read_text())["results"]
    assert {row["num_real"] for row in rows} == {5}


def test_held_out_images_without_a_class_are_not_counted(run, real, tmp_path):
    mixed = shutil.copytree(real, tmp_path / "mixed")
    for number, path in enumerate(sorted(real.rglob("*.png"))[:12]):
        shutil.copy(path, mixed / f"unsorted{number}.png")
    words = ["--classifier-steps", 5, "--count", 8]
    code, out, err = evaluate(run, real, mixed, tmp_path / "out", *words)
    assert code == 0, err
    assert "of 3 held-out images" in out  # a tenth of 24, and one


def test_images_that_were_drawn_before(run, real, tmp_path):
    words = ["--classifier-steps", 5, "--count", 12]
    code, _, err = evaluate(run, real, real, tmp_path, *words)
    assert code == 0, err
    rows = json.loads((tmp_path / "result.json").read_text())["results"]
    assert [row["what"] for row in rows] == ["other real images", "samples"]
    config = ClassifierConfig(image_channels=1, class_names=("Forest", "River"), width=2)
    save_classifier(tmp_path / "grey.safetensors", SmallClassifier(config).eval())
    words = ["--features", tmp_path / "grey.safetensors", "--count", 12]
    code, _, err = evaluate(run, real, real, tmp_path, *words)
    assert code == 0, err


def test_the_sheet_of_a_folder_of_samples_is_no_sample(run, real, tmp_path):
    drawn = tmp_path / "drawn"
    drawn.mkdir()
    for number, path in enumerate(sorted(real.rglob("*.png"))[:4]):
        shutil.copy(path, drawn / f"{number:05}.png")
    shutil.copy(drawn / "00000.png", drawn / "sheet.png")
    code, _, err = evaluate(run, drawn, real, tmp_path, "--classifier-steps", 5, "--count", 8)
    assert code == 0, err
    rows = json.loads((tmp_path / "result.json").read_text())["results"]
    assert rows[1]["num_images"] == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--count", 3], "--count must be at least 4"),
        (["--features", "none.safetensors"], "there is no file none.safetensors"),
        (["--classifier-steps", 0], "--classifier-steps at least 1"),
        (["--limit", 7], "--limit must be at least 8, got 7"),
    ],
)
def test_what_cannot_be_evaluated(run, prior, real, tmp_path, words, message):
    code, _, err = evaluate(run, prior, real, tmp_path, *words)
    assert code == 2
    assert message in err


def test_other_classes_are_refused(run, prior, real, tmp_path):
    other = tmp_path / "other"
    for number, name in enumerate(("Alps", "Forest", "River")):
        shutil.copytree(real / ("Forest" if number < 2 else "River"), other / name)
    code, _, err = evaluate(run, prior, other, tmp_path / "out")
    assert code == 2
    assert f"{prior} knows the classes Forest, River; those of {other} are Alps, Forest" in err
    config = ClassifierConfig(image_channels=3, class_names=("River", "Forest"), width=2)
    save_classifier(tmp_path / "swapped.safetensors", SmallClassifier(config).eval())
    words = ["--features", tmp_path / "swapped.safetensors", "--count", 8]
    code, _, err = evaluate(run, prior, real, tmp_path / "out", *words)
    assert code == 2
    assert "swapped.safetensors knows the classes River, Forest" in err
    # Images that were drawn before have no classes: the features are all that counts.
    assert evaluate(run, real, real, tmp_path / "out", *words)[0] == 0


def test_images_without_classes_need_features(run, prior, real, tmp_path):
    code, _, err = evaluate(run, prior, real / "Forest", tmp_path)
    assert code == 2
    assert "those of" in err
    assert "are none" in err
    drawn = real / "River"
    code, _, err = evaluate(run, drawn, real / "Forest", tmp_path)
    assert code == 2
    assert "needs images of at least two classes" in err
    few = tmp_path / "few"
    few.mkdir()
    to_pil(torch.zeros(3, 32, 32, dtype=torch.uint8)).save(few / "one.png")
    code, _, err = evaluate(run, drawn, few, tmp_path)
    assert code == 2
    assert "too few images to compare with" in err
