import pytest
import torch

from loopyvq.data import open_image_set, to_pil
from loopyvq.errors import DataError
from loopyvq.evaluation.classifier import ClassifierConfig
from loopyvq.evaluation.classifier_training import (
    LoadedImages,
    load_images,
    share_right,
    train_classifier,
    with_classes,
)


def stripes(count: int, seed: int) -> LoadedImages:
    """Upright and lying stripes under noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    wave = ((torch.arange(16) // 2) % 2 * 200).float()
    pixels = torch.stack([(wave if label else wave[:, None]).expand(1, 16, 16) for label in labels])
    noisy = pixels + 40 * torch.rand(count, 1, 16, 16, generator=generator)
    return LoadedImages(noisy.to(torch.uint8), labels)


CONFIG = ClassifierConfig(image_channels=1, class_names=("lying", "upright"), width=4)


def test_it_learns_to_tell_classes_apart():
    classifier = train_classifier(stripes(80, 0), CONFIG, steps=30)
    assert share_right(classifier, stripes(50, 1)) > 0.95
    assert not classifier.training


def test_images_without_a_class_are_neither_right_nor_wrong():
    classifier, (pixels, labels) = train_classifier(stripes(80, 0), CONFIG, steps=30), stripes(8, 1)
    some = LoadedImages(pixels, torch.where(torch.arange(8) < 3, -1, labels))
    assert with_classes(some).labels.tolist() == labels[3:].tolist()
    assert share_right(classifier, some) == share_right(classifier, with_classes(some)) > 0.95


def test_the_seed_decides_and_the_global_one_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(())
    torch.manual_seed(5)
    first, again, other = (
        train_classifier(stripes(20, 0), CONFIG, steps=3, seed=seed) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.rand(()), expected)
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_one_class_cannot_be_told_from_another():
    pixels, labels = stripes(8, 0)
    with pytest.raises(DataError, match="at least two classes"):
        train_classifier(LoadedImages(pixels, labels * 0), CONFIG)
    with pytest.raises(DataError, match="at least two classes"):
        train_classifier(LoadedImages(pixels, labels * 0 - 1), CONFIG)


@pytest.fixture
def folder(tmp_path):
    for number, (name, height, width) in enumerate([("a", 8, 8), ("a", 9, 12), ("b", 8, 8)]):
        (tmp_path / name).mkdir(exist_ok=True)
        image = torch.full((3, height, width), 10 * number, dtype=torch.uint8)
        to_pil(image).save(tmp_path / name / f"{number}.png")
    return tmp_path


def test_images_come_in_one_size_with_their_classes(folder):
    loaded = load_images(open_image_set(folder))
    assert loaded.pixels.shape == (3, 3, 8, 8)
    assert loaded.labels.tolist() == [0, 0, 1]
    assert loaded.pixels[:, 0, 0, 0].tolist() == [0, 10, 20]
    some = load_images(open_image_set(folder), size=(8, 8), limit=2, seed=1)
    assert len(some.pixels) == 2
    assert load_images(open_image_set(folder), size=(4, 4)).pixels.shape == (3, 3, 4, 4)


def test_images_that_cannot_be_brought_to_one_size(folder):
    with pytest.raises(DataError, match="no square"):
        load_images(open_image_set(folder), size=(8, 6))


def test_broken_images_are_left_out(folder):
    (folder / "a" / "0.png").write_text("no image")
    loaded = load_images(open_image_set(folder), size=(8, 8))
    assert loaded.labels.tolist() == [0, 1]
    for number in (1, 2):
        (folder / "ab"[number - 1] / f"{number}.png").write_text("no image")
    with pytest.raises(DataError, match="no readable image"):
        load_images(open_image_set(folder))
