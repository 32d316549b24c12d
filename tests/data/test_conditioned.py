import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from loopyvq.data import (
    BoxConfig,
    ConditionDataConfig,
    ConditionedDraws,
    ConditionedImages,
    CropConfig,
    LabelMapConfig,
    Sample,
    TrainingDraws,
    boxes_of,
    cached,
    open_conditioned_set,
    open_label_maps,
)
from loopyvq.data.palettes import PALETTES, paint_labels
from loopyvq.errors import DataError

LABELS = LabelMapConfig(num_labels=5)
CROP = CropConfig(size=8)


@pytest.fixture
def scenes(tmp_path):
    """Images whose red channel is ten times their label."""
    generator = np.random.default_rng(0)
    for number in range(6):
        labels = generator.integers(0, 5, (4, 5)).repeat(6, axis=0).repeat(6, axis=1)
        labels = labels.astype(np.uint8)
        folder = "ab"[number % 2]
        for name, pixels in (
            ("images", np.stack([labels * 10] * 3, axis=2)),
            ("maps", labels),
            ("both", np.hstack([np.stack([labels * 10] * 3, axis=2), paint(labels)])),
        ):
            (tmp_path / name / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / name / folder / f"{number}.png")
    return tmp_path


def paint(labels):
    painted = paint_labels(torch.from_numpy(labels), 12, PALETTES["cmp_facades"])
    return painted.permute(1, 2, 0).numpy()


def segmentation(scenes):
    return ConditionDataConfig(kind="segmentation", maps=str(scenes / "maps"), labels=LABELS)


def draws_of(scenes, config, seed=0, flip=True, folder="images"):
    images = open_conditioned_set(scenes / folder, config)
    crop = CropConfig(size=8, min_scale=1.0, flip=flip)
    return ConditionedDraws(cached(images, 10**6), crop, config, seed, 40)


def test_labels_stay_with_their_pixels(scenes):
    draws = draws_of(scenes, segmentation(scenes))
    for index in range(40):
        image, labels = draws[index]
        assert torch.equal(((image[0] + 1) * 12.75).round().long(), labels)


def test_two_places_and_two_halves_are_the_same(scenes):
    colours = LabelMapConfig(num_labels=12, palette="cmp_facades")
    halves = ConditionDataConfig(kind="segmentation", half="right", labels=colours)
    one = draws_of(scenes, segmentation(scenes))
    other = draws_of(scenes, halves, folder="both")
    for index in (0, 7, 39):
        assert torch.equal(one[index].image, other[index].image)
        assert torch.equal(one[index].condition, other[index].condition)


def test_boxes_stay_with_their_pixels(scenes):
    """Every box bounds a piece of the image that was cut out, mirrored or not."""
    boxes = BoxConfig(num_boxes=64, bins=8)
    config = dataclasses.replace(segmentation(scenes), kind="boxes", boxes=boxes)
    draws = draws_of(scenes, config)
    for index in range(40):
        image, found = draws[index]
        seen = ((image[0] + 1) * 12.75).round().to(torch.uint8)
        assert torch.equal(found, boxes_of(seen, boxes))
    batch = next(iter(DataLoader(draws, batch_size=5)))
    assert batch.condition.shape == (5, 64, 5)


def test_crops_are_those_without_condition(scenes):
    config = segmentation(scenes)
    plain = open_conditioned_set(scenes / "images", ConditionDataConfig())
    expected = TrainingDraws(plain, CropConfig(size=8, min_scale=1.0), 3, 40)
    found = draws_of(scenes, config, seed=3)
    assert all(torch.equal(expected[index], found[index].image) for index in range(40))


def test_batches_are_samples_and_workers_see_the_same(scenes):
    draws = draws_of(scenes, segmentation(scenes))
    alone = list(DataLoader(draws, batch_size=10))
    assert isinstance(alone[0], Sample)
    assert alone[0].condition.shape == (10, 8, 8)
    for mine, theirs in zip(alone, DataLoader(draws, batch_size=10, num_workers=1), strict=True):
        assert torch.equal(mine.image, theirs.image)
        assert torch.equal(mine.condition, theirs.condition)


def test_classes(scenes):
    config = ConditionDataConfig(kind="class")
    images = open_conditioned_set(scenes / "images", config)
    assert images.class_names == ("a", "b")
    still = ConditionedImages(images, 8, config)
    assert [int(still[index].condition) for index in range(6)] == [0, 0, 0, 1, 1, 1]
    draws = draws_of(scenes, config)
    assert {int(draws[index].condition) for index in range(6)} == {0, 1}
    batch = next(iter(DataLoader(draws, batch_size=4)))
    assert batch.condition.shape == (4,)


def test_images_without_classes(scenes):
    config = ConditionDataConfig(kind="class")
    with pytest.raises(DataError, match=r"have no classes: put them into one folder per class"):
        open_conditioned_set(scenes / "images" / "a", config)
    (scenes / "images" / "a" / "0.png").rename(scenes / "images" / "stray.png")
    with pytest.raises(DataError, match=r"stray\.png has no class"):
        open_conditioned_set(scenes / "images", config)


def test_still_images_are_middle_squares(scenes):
    config = ConditionDataConfig(kind="coordinates")
    images = open_conditioned_set(scenes / "images", config)
    still = ConditionedImages(images, 24, config)
    sample = still[2]
    assert len(still) == 6
    assert torch.equal(
        ((sample.image + 1) * 127.5).round().to(torch.uint8), images.read(2)[..., 3:27]
    )
    assert torch.allclose(sample.condition.mean(dim=(1, 2)), torch.tensor([0.5, 0.5]))
    for index in (-1, 6):
        with pytest.raises(IndexError, match="0 to 5"):
            still[index]
    with pytest.raises(ValueError, match="at least 1"):
        ConditionedImages(images, 0, config)


def test_batches_leave_out_what_is_broken(scenes):
    config = ConditionDataConfig("segmentation", maps=str(scenes / "maps"), labels=LABELS)
    images = open_conditioned_set(scenes / "images", config)
    still = ConditionedImages(images, 24, config)
    kept = [images.key(index) for index in (0, 1, 3, 4)]
    for index in (2, 5):
        (scenes / "images" / images.key(index)).write_bytes(b"no image")
    names, batches = zip(*still.batches(3), strict=True)
    assert list(names) == [kept[:3], kept[3:]]
    assert [len(batch.image) for batch in batches] == [3, 1]
    assert torch.equal(batches[0].condition[2], still[3].condition)
    assert len(images.broken) == 2


def test_depth(scenes):
    config = ConditionDataConfig(kind="depth", maps=str(scenes / "maps"))
    still = ConditionedImages(open_conditioned_set(scenes / "images", config), 24, config)
    depth = still[0].condition
    assert depth.shape == (1, 24, 24)
    assert (depth.min(), depth.max()) == (-1, 1)


def test_label_maps_alone(scenes):
    maps = open_label_maps(scenes / "maps", LABELS)
    colours = LabelMapConfig(num_labels=12, palette="cmp_facades")
    halves = open_label_maps(scenes / "both", colours, "right")
    assert len(maps) == len(halves) == 6
    for index in range(6):
        assert maps.read(index).shape == (1, 24, 30)
        assert torch.equal(maps.read(index), halves.read(index))


def test_maps_must_be_files(tmp_path):
    header = (2051).to_bytes(4, "big") + b"".join(n.to_bytes(4, "big") for n in (1, 2, 2))
    (tmp_path / "maps.idx").write_bytes(header + bytes(4))
    with pytest.raises(DataError, match="maps are image files"):
        open_label_maps(tmp_path / "maps.idx", LABELS)


@pytest.mark.parametrize(
    ("name", "count", "classes"),
    [
        ("cifar10_png.zip", 12000, 10),
        ("eurosat_rgb.zip", 5000, 10),
        ("caltech101.zip", 708, 59),
        ("fashion-mnist/train-images-idx3-ubyte.gz", 60000, 10),
    ],
)
def test_classes_of_the_development_sets(shared_data, name, count, classes):
    images = open_conditioned_set(shared_data / name, ConditionDataConfig(kind="class"))
    assert len(images) == count
    assert len(images.class_names) == classes
    assert {images.label(index) for index in range(count)} == set(range(classes))


def test_label_maps_of_the_development_sets(shared_data):
    ade = ConditionDataConfig(
        kind="segmentation", maps=str(shared_data / "ade20k_pairs.zip" / "ade20k/segmentations")
    )
    images = open_conditioned_set(shared_data / "ade20k_pairs.zip" / "ade20k/images", ade)
    assert len(list(images.images())) == 20
    assert not images.broken
    colours = LabelMapConfig(num_labels=12, palette="cmp_facades")
    facades = ConditionDataConfig(kind="segmentation", half="right", labels=colours)
    images = open_conditioned_set(shared_data / "cmp_facades_pairs.zip", facades)
    seen = torch.cat([images.read(index)[-1].unique() for index in range(20)]).unique()
    assert (len(images), seen.tolist()) == (180, list(range(12)))
