import csv
import json

import pytest
import torch

from loopyvq.data.token_draws import is_held_out
from loopyvq.evaluation.classifier import ClassifierConfig, SmallClassifier, save_classifier
from tests.cli.test_boxes import HALF, LABELS, pairs  # noqa: F401
from tests.cli.test_pretokenize import squares  # noqa: F401
from tests.training.prior_tokens import TINY_PRIOR


@pytest.fixture(scope="module")
def prior(workspace, squares, tmp_path_factory):  # noqa: F811
    """A prior of classes, trained through the command line."""
    from loopyvq.cli.main import main

    folder = tmp_path_factory.mktemp("prior")
    (folder / "tiny.yaml").write_text(json.dumps(TINY_PRIOR))
    words = ["pretokenize", workspace / "run", "--data", squares, "--out", folder / "shards",
             "--condition", "class", "--depth", "2"]  # fmt: skip
    assert main([str(word) for word in words]) == 0
    words = ["train", "prior", folder / "tiny.yaml", "--data", folder / "shards", "--quiet"]
    assert main([str(word) for word in [*words, "--out", folder / "run"]]) == 0
    return folder


def test_bits_stand_beside_those_of_the_codec(run, prior, squares):  # noqa: F811
    code, out, err = run(
        "evaluate", "prior", prior / "run", "--data", squares, "--csv", prior / "bits.csv"
    )
    assert code == 0, err
    assert "12 images: 32.0 tokens" in out
    assert "A report: floats cannot code files" in out
    rows = list(csv.DictReader((prior / "bits.csv").read_text().splitlines()))
    assert len(rows) == 12
    assert all(int(row["num_tokens"]) == 32 for row in rows)
    assert all(float(row["stop_bits"]) == 0 for row in rows)  # the depth is fixed
    assert all(0 < float(row["code_bits"]) < 400 for row in rows)
    assert all(0 < int(row["context_bits"]) < 400 for row in rows)
    code, out, _ = run("evaluate", "prior", prior / "run", "--data", squares, "--limit", 5)
    assert "5 images" in out
    unseen = int(is_held_out(torch.arange(12), 0.3).sum())
    words = ("evaluate", "prior", prior / "run", "--data", squares, "--held-out", "0.3")
    assert f"{unseen} images: " in run(*words)[1]
    assert run(*words[:-1], "2")[0] == 2
    code, _, err = run(*words[:-1], "0")
    assert code == 2
    assert "--held-out 0 leaves none of 12 images" in err


def test_a_prior_of_a_least_length_gets_such_tokens(run, prior, workspace, squares, tmp_path):  # noqa: F811
    words = ("pretokenize", workspace / "run", "--data", squares, "--out", tmp_path / "shards")
    words += ("--threshold", "5", "--min-length", "1")
    assert run(*words)[0] == 0
    words = ("train", "prior", prior / "tiny.yaml", "--data", tmp_path / "shards", "--quiet")
    assert run(*words, "--out", tmp_path / "run")[0] == 0
    code, out, err = run("evaluate", "prior", tmp_path / "run", "--data", squares)
    assert code == 0, err
    assert "12 images: 16.0 tokens" in out  # one at each site, far as they may be


def test_a_prior_resumes_and_trains_on_images_too(run, prior, workspace, squares):  # noqa: F811
    code, out, err = run("train", "prior", "--resume", prior / "run", "--quiet")
    assert code == 0, err
    assert "best model" in out
    code, out, err = run(
        "train", "prior", prior / "tiny.yaml", "--data", squares, "--tokenizer",
        workspace / "run", "--images.crop.size", 32, "--out", prior / "live", "--quiet",
    )  # fmt: skip
    assert code == 0, err


def test_a_prior_goes_on_with_tokens_that_it_chose(run, prior, workspace, squares, tmp_path):  # noqa: F811
    words = ("pretokenize", workspace / "run", "--data", squares, "--condition", "class")
    words += ("--depth", "2", "--weigh", "0.5", "--priced-by", prior / "run")
    code, _, err = run(*words, "--out", tmp_path / "shards")
    assert code == 0, err
    words = ("train", "prior", prior / "tiny.yaml", "--data", tmp_path / "shards", "--quiet")
    words += ("--out", tmp_path / "run", "--start_from", prior / "run")
    code, _, err = run(*words)
    assert code == 0, err
    code, out, err = run("evaluate", "prior", tmp_path / "run", "--data", squares, "--limit", 3)
    assert code == 0, err
    assert "0.png" in out
    photo = next(squares.rglob("*.png"))
    for options in ((), ("--class", "bee")):
        words = ("complete", tmp_path / "run", photo, "--out", tmp_path / "out", *options)
        code, out, err = run(*words)
        assert code == 0, err
        assert "from 8 of 16 sites" in out


def test_other_classes_and_lost_tokenizers_are_named(run, prior, workspace, squares, tmp_path):  # noqa: F811
    code, _, err = run("evaluate", "prior", prior / "run", "--data", workspace / "photos")
    assert code == 2
    assert "class" in err
    moved = tmp_path / "best.safetensors"
    moved.write_bytes((prior / "run" / "best.safetensors").read_bytes())
    code, _, err = run("evaluate", "prior", moved, "--data", squares)
    assert code == 2
    assert "is no longer at" in err
    words = ("evaluate", "prior", moved, "--data", squares, "--tokenizer", workspace / "run")
    assert run(*words)[0] == 0
    code, _, err = run("evaluate", "prior", moved, "--data", squares, "--limit", "0")
    assert code == 2
    assert "--limit" in err


def test_a_prior_of_label_maps_is_told_them(run, prior, workspace, pairs, tmp_path):  # noqa: F811
    words = ("pretokenize", workspace / "run", "--data", pairs, "--out", tmp_path / "shards",
             "--size", 32, "--condition", "segmentation", *HALF, *LABELS)  # fmt: skip
    assert run(*words)[0] == 0
    words = ("train", "prior", prior / "tiny.yaml", "--data", tmp_path / "shards", "--quiet")
    assert run(*words, "--out", tmp_path / "run")[0] == 0
    words = ("evaluate", "prior", tmp_path / "run", "--data", pairs)
    code, out, err = run(*words, *HALF, *LABELS)
    assert code == 0, err
    assert "10 images: " in out
    assert run(*words, *HALF)[1] == out  # labels as at the training
    code, _, err = run(*words, *HALF, "--condition-cells", "2")
    assert code == 2
    assert "segmentation that was made in another way" in err
    config = ClassifierConfig(class_names=("a", "b"), width=2)
    save_classifier(tmp_path / "classifier.safetensors", SmallClassifier(config).eval())
    words = ("sample", tmp_path / "run", "--count", 3, "--out", tmp_path / "drawn", "--reject", 0.5)
    words += ("--classifier", tmp_path / "classifier.safetensors")
    code, out, err = run(*words, "--condition", pairs, *HALF)
    assert code == 0, err
    assert "3 images" in out
    code, _, err = run(*words, "--condition-cells", "2")
    assert code == 2
    assert "--condition-tokenizer and --condition-cells are for --condition" in err
    words = ("evaluate", "prior", tmp_path / "run", "--data", pairs)
    code, _, err = run(*words)
    assert code == 2
    assert "segmentation needs either maps" in err
    code, _, err = run("evaluate", "prior", prior / "run", "--data", pairs, "--flavour", "1")
    assert code == 2
    assert "unknown option --flavour" in err
