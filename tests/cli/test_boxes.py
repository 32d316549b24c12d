"""Boxes from label maps all the way: shards, a prior, images."""

import json

import pytest
import torch

from loopyvq.data import open_image_set, to_pil
from loopyvq.data.token_shards import open_token_shards
from tests.training.prior_tokens import TINY_PRIOR

HALF = ("--condition.half", "right")
LABELS = ("--condition.labels.num_labels", "4")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Pictures whose right half is a map: image ``i`` has a square of label 1 + i % 3."""
    folder = tmp_path_factory.mktemp("pairs")
    generator = torch.Generator().manual_seed(0)
    for index in range(10):
        image = torch.randint(0, 256, (1, 32, 32), generator=generator, dtype=torch.uint8)
        labels = torch.zeros(1, 32, 32, dtype=torch.uint8)
        labels[:, 8:16, index : index + 8] = 1 + index % 3
        to_pil(torch.cat([image, labels], dim=2)).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def boxed(workspace, pairs, tmp_path_factory):
    """Shards with boxes, and a prior of them, through the command line."""
    from loopyvq.cli.main import main

    folder = tmp_path_factory.mktemp("boxed")
    config = {**TINY_PRIOR, "run": {**TINY_PRIOR["run"], "steps": 4}}
    (folder / "tiny.yaml").write_text(json.dumps(config))
    words = ["pretokenize", workspace / "run", "--data", pairs, "--out", folder / "shards",
             "--views", 2, "--images-per-shard", 4, "--size", 32, "--condition", "boxes", *HALF,
             *LABELS, "--condition.boxes.num_boxes", 3, "--condition.boxes.bins", 32,
             "--condition.boxes.max_share", 0.5]  # fmt: skip
    assert main([str(word) for word in words]) == 0
    words = ["train", "prior", folder / "tiny.yaml", "--data", folder / "shards", "--quiet"]
    assert main([str(word) for word in [*words, "--out", folder / "run"]]) == 0
    return folder


def test_shards_hold_the_boxes_of_every_view(run, boxed, workspace, pairs):
    shards = open_token_shards(boxed / "shards")
    boxes = shards.packed.select(range(20)).condition.boxes
    assert boxes.shape == (20, 3, 5)
    assert (shards.source.condition, shards.source.box_classes) == ("boxes", 4)
    for number in range(10):
        label = 1 + number % 3
        plain, mirrored = boxes[2 * number, 0].tolist(), boxes[2 * number + 1, 0].tolist()
        assert plain == [label, 8, number, 15, number + 7]
        assert mirrored == [label, 8, 24 - number, 15, 31 - number]
    assert (boxes[:, 1:, 0] == -1).all()
    words = ["pretokenize", workspace / "run", "--data", pairs, "--out", boxed / "shards",
             "--views", 2, "--images-per-shard", 4, "--size", 32, "--condition", "boxes", *HALF,
             *LABELS, "--condition.boxes.bins", 32, "--condition.boxes.max_share", 0.5]  # fmt: skip
    code, _, err = run(*words)
    assert code == 2
    assert "with other options" in err
    code, out, err = run(*words, "--condition.boxes.num_boxes", 3)
    assert code == 0, err
    assert out.startswith("3 of 3 shards were there already")


def images(folder):
    files = sorted(folder.glob("0*.png"))
    return torch.stack([open_image_set(file).read(0) for file in files])


def test_samples_are_told_boxes_of_maps_by_hand_or_none(run, boxed, pairs, tmp_path):
    ways = {
        "maps": ["--condition", pairs, *HALF],
        "hand": ["--box", "1,1/4,0,1/2,1/4"],
        "other": ["--box", "2,0.5,0.5,1,1"],
        "none": [],
    }
    for name, words in ways.items():
        code, _, err = run(
            "sample", boxed / "run", "--count", 1, "--out", tmp_path / name, "--guidance", 30,
            "--temperature", 0, *words,
        )  # fmt: skip
        assert code == 0, err
    drawn = {name: images(tmp_path / name) for name in ways}
    assert torch.equal(drawn["maps"], drawn["hand"])  # the box of image 0, written down
    assert not torch.equal(drawn["hand"], drawn["other"])
    assert not torch.equal(drawn["hand"], drawn["none"])
    picture = pairs.parent / "one.png"
    to_pil(images(tmp_path / "none")[0]).save(picture)
    words = ["--count", 2, "--out", tmp_path / "completed", *ways["hand"]]
    code, _, err = run("complete", boxed / "run", picture, *words)
    assert code == 0, err


def test_bits_are_measured_with_the_boxes_in_sight(run, boxed, pairs, tmp_path):
    words = ("evaluate", "prior", boxed / "run", "--data", pairs)
    code, out, err = run(*words, *HALF, "--csv", tmp_path / "bits.csv")
    assert code == 0, err
    assert "10 images: " in out
    code, _, err = run(*words)
    assert code == 2
    assert "boxes needs either maps" in err
    code, _, err = run(*words, *HALF, "--condition.boxes.bins", 64)
    assert code == 2
    assert "leave out --condition.boxes" in err


def test_what_contradicts_is_refused(run, boxed, prior, pairs, tmp_path):
    box = ("--box", "1,0,0,1,1")
    for words, message in [
        ((boxed / "run", *box, "--condition", pairs, *HALF), "give one of both"),
        ((boxed / "run", "--box", "9,0,0,1,1"), "the class of a box must be within 0..3"),
        ((boxed / "run", *(4 * box)), "knows up to 3 boxes, got 4"),
        ((boxed / "run", *box, "--size", "32x64"), "boxes belong to a whole image"),
        ((prior, *box), "trained without boxes"),
    ]:
        code, _, err = run("sample", *words, "--out", tmp_path)
        assert code == 2
        assert message in err
        assert err.count("\n") == 1
    assert not list(tmp_path.rglob("*.png"))


def test_images_are_boxed_on_the_way_too(run, boxed, workspace, pairs):
    words = ["train", "prior", boxed / "tiny.yaml", "--data", pairs, "--tokenizer",
             workspace / "run", "--images.crop.size", 32, "--images.known.data.kind", "boxes",
             "--images.known.data.half", "right", "--images.known.data.labels.num_labels", 4,
             "--images.known.data.boxes.num_boxes", 2]  # fmt: skip
    code, _, err = run(*words, "--kind", "flat", "--out", boxed / "live", "--quiet")
    assert code == 0, err
