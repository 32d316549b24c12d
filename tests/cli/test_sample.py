from pathlib import Path

import pytest
import torch
from PIL import Image

from loopyvq.checkpoint import load_tokenizer
from loopyvq.data import open_image_set, to_pil
from loopyvq.evaluation.classifier import ClassifierConfig, SmallClassifier, save_classifier
from loopyvq.token_file import read_token_file


def pixels(folder: Path) -> list[torch.Tensor]:
    files = sorted(folder.glob("0*.png"))
    return [open_image_set(file).read(0) for file in files]


def same(first: Path, second: Path) -> bool:
    return all(torch.equal(a, b) for a, b in zip(pixels(first), pixels(second), strict=True))


def test_images_a_sheet_tokens_and_a_film(run, prior, tmp_path):
    words = ["sample", prior, "--count", 5, "--out", tmp_path / "a", "--batch", 2, "--gif"]
    code, out, err = run(*words, "--tokens-out", tmp_path / "tokens")
    assert code == 0, err
    assert "5 images" in out
    images = pixels(tmp_path / "a")
    assert [tuple(image.shape) for image in images] == [(3, 32, 32)] * 5
    with Image.open(tmp_path / "a" / "sheet.png") as sheet:
        assert sheet.size == (2 + 2 * 34, 2 + 3 * 34)  # one column for each class
    with Image.open(tmp_path / "a" / "canvas.gif") as film:
        assert film.n_frames > 4
    assert len(list((tmp_path / "tokens").iterdir())) == 5
    assert read_token_file(tmp_path / "tokens" / "00003.tokens").threshold == 0.5
    code, _, err = run("decode", prior.parent / "run", tmp_path / "tokens", "--out", tmp_path / "b")
    assert code == 0, err
    assert same(tmp_path / "a", tmp_path / "b")


def test_the_seed_decides_and_not_the_batch(run, prior, tmp_path):
    for name, more in {"a": [], "b": ["--batch", 1], "c": ["--seed", 3]}.items():
        assert run("sample", prior, "--count", 4, "--out", tmp_path / name, *more)[0] == 0
    assert same(tmp_path / "a", tmp_path / "b")
    assert not same(tmp_path / "a", tmp_path / "c")


def test_classes_by_name_and_by_number(run, prior, tmp_path):
    for name, words in {"a": ["--class", "River"], "b": ["--class", "1"]}.items():
        assert run("sample", prior, "--count", 3, "--out", tmp_path / name, *words)[0] == 0
    assert same(tmp_path / "a", tmp_path / "b")
    out = tmp_path / "c"
    assert run("sample", prior, "--count", 3, "--out", out, "--class", "Forest")[0] == 0
    assert not same(tmp_path / "a", out)


def test_images_of_any_size(run, prior, tmp_path):
    words = ["--count", 2, "--size", "36x70", "--window", "4x3", "--stride", "2", "--gif"]
    code, _, err = run("sample", prior, "--out", tmp_path, *words)
    assert code == 0, err
    assert [tuple(image.shape) for image in pixels(tmp_path)] == [(3, 36, 70)] * 2


def test_rejection_keeps_what_a_classifier_likes(run, prior, tmp_path):
    torch.manual_seed(0)
    config = ClassifierConfig(class_names=("Forest", "River"), width=2)
    save_classifier(tmp_path / "classifier.safetensors", SmallClassifier(config).eval())
    words = ["sample", prior, "--class", "River", "--out"]
    assert run(*words, tmp_path / "all", "--count", 8)[0] == 0
    more = ["--count", 2, "--reject", 0.75, "--classifier", tmp_path / "classifier.safetensors"]
    code, _, err = run(*words, tmp_path / "best", *more)
    assert code == 0, err
    drawn, kept = pixels(tmp_path / "all"), pixels(tmp_path / "best")
    assert len(kept) == 2
    assert all(any(torch.equal(image, other) for other in drawn) for image in kept)


def test_about_so_many_tokens(run, prior, tmp_path):
    means = []
    for tokens in (16, 50):
        out = run("sample", prior, "--count", 6, "--tokens", tokens, "--out", tmp_path)[1]
        means.append(float(out.split(" tokens each")[0].split()[-1]))
    assert means[0] < means[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--count", 0], "--count must be at least 1, got 0"),
        (["--batch", 0], "--batch must be at least 1, got 0"),
        (["--seed", -1], "seed must be 0 or more, got -1"),
        (["--class", "river"], "there is no class 'river': did you mean 'River'?"),
        (["--class", "7"], "there is no class '7': choose one of Forest, River (0 to 1)"),
        (["--size", "0x9"], "--size must be a height and a width such as 64x96, got '0x9'"),
        (["--size", "9x99999"], "the sides of an image must be within 1..65536 pixels"),
        (["--window", "9x9"], "this prior knows windows of up to 4 x 4 sites, got 9 x 9"),
        (["--stride", "5"], "the stride must be within 1..4"),
        (["--temperature", "-1"], "a temperature must be 0, which"),
        (["--reject", "1", "--classifier", "x"], "--reject must be within [0, 1), got 1"),
        (["--reject", "0.5"], "--reject needs a --classifier"),
        (["--reject", "0.5", "--classifier", "x"], "there is no file x"),
        (["--reject", "0.5", "--classifier", "x", "--gif"], "choose one"),
        (["--condition", "maps"], "was trained without a map as its condition"),
        (["--paint", "nowhere.png"], "there is no file or folder nowhere.png"),
        (["--colour", "red"], "unknown option --colour"),
    ],
)
def test_wishes_that_cannot_be_granted(run, prior, tmp_path, words, message):
    code, _, err = run("sample", prior, "--out", tmp_path / "out", *words)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.rglob("*.png"))


def test_painted_lengths_need_a_prior_that_takes_them(run, prior, tmp_path):
    to_pil(torch.zeros(3, 8, 8, dtype=torch.uint8)).save(tmp_path / "paint.png")
    code, _, err = run("sample", prior, "--paint", tmp_path / "paint.png", "--out", tmp_path)
    assert code == 2
    assert 'whose lengths come "first"' in err


def test_a_tokenizer_of_another_model(run, prior, workspace, tmp_path, tiny_config):
    from loopyvq.checkpoint import save_tokenizer
    from loopyvq.models import Tokenizer

    torch.manual_seed(9)
    save_tokenizer(tmp_path / "other.safetensors", Tokenizer(tiny_config))
    code, _, err = run("sample", prior, "--tokenizer", tmp_path / "other.safetensors")
    assert code == 2
    assert "the tokens of" in err
    assert load_tokenizer(workspace / "run") is not None
    code, _, err = run("sample", workspace / "run")
    assert code == 2
    assert "is a tokenizer, not a prior" in err
