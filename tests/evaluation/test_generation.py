import json

import pytest
import torch

from loopyvq.evaluation.classifier import ClassifierConfig, SmallClassifier
from loopyvq.evaluation.generation import (
    compare_images,
    format_results,
    memorisation,
    nearest_images,
    nearest_sheet,
)


@pytest.fixture(scope="module")
def classifier() -> SmallClassifier:
    torch.manual_seed(0)
    return SmallClassifier(ClassifierConfig(data="noise", image_channels=1, width=4)).eval()


def images(count: int, seed: int, low: int = 0, side: int = 12) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (count, 1, side, side)
    return torch.randint(low, 256, shape, generator=generator).to(torch.uint8)


def test_images_of_the_same_kind_are_closer_than_others(classifier):
    real = images(60, 0)
    alike = compare_images("alike", images(60, 1), real, classifier)
    other = compare_images("other", images(60, 2, low=200), real, classifier)
    assert alike.frechet < 0.1 * other.frechet
    assert alike.kernel < other.kernel
    assert alike.recall > other.recall
    copies = compare_images("copies", real, real, classifier)
    assert copies.frechet == pytest.approx(0, abs=1e-9)
    assert (copies.precision, copies.recall) == (1, 1)


def test_the_share_that_looks_like_its_class(classifier):
    real = images(20, 0)
    classes = torch.zeros(20, dtype=torch.int64)
    found = [compare_images("x", real, real, classifier, classes + k).class_share for k in (0, 1)]
    assert sum(found) == 1
    assert compare_images("x", real, real, classifier).class_share is None


def test_results_are_plain_numbers_named_after_their_features(classifier):
    result = compare_images("samples", images(9, 0), images(8, 1), classifier)
    again = json.loads(json.dumps(result._asdict()))
    assert again["features"] == "small-classifier(noise)"
    text = format_results([result, result._replace(class_share=0.25)])
    assert "small-classifier(noise) (not FID)" in text
    assert "25.0% taken for their class" in text
    assert len(text.splitlines()) == 5


def test_copies_are_found(classifier):
    training = images(50, 0)
    near = nearest_images(training[[7, 3]], training, 2)
    assert near.index[:, 0].tolist() == [7, 3]
    assert near.distance[:, 0].tolist() == [0, 0]
    brighter = (training[[7]].int() + 3).clamp(max=255).to(torch.uint8)
    assert 2 < float(nearest_images(brighter, training, 1).distance) <= 3


def test_distances_are_those_of_small_pictures():
    flat = torch.full((2, 3, 70, 90), 100, dtype=torch.uint8)
    near = nearest_images(flat + 5, flat, 1)
    assert near.distance.flatten().tolist() == pytest.approx([5, 5], rel=1e-5)


def test_memorised_images_are_closer_to_training_images_than_those_are_to_each_other():
    training = images(50, 0)
    assert memorisation(images(30, 1), training) == pytest.approx(1, abs=0.1)
    assert memorisation(training[:30], training) == 0


def test_training_images_are_compared_with_their_nearest_others():
    levels = torch.tensor([0, 2, 100, 102], dtype=torch.uint8)
    training = levels[:, None, None, None].expand(4, 1, 12, 12)
    assert memorisation(training[:1] + 1, training) == pytest.approx(0.5)


def test_the_sheet_shows_neighbours_beside_their_image():
    training = images(20, 0)
    picture = nearest_sheet(training[:3], training, 2)
    assert picture.shape == (3, 2 + 3 * 14, 2 + 14 + 4 + 14 + 14)
    assert torch.equal(picture[0, 2:14, 2:14], training[0, 0])
    assert torch.equal(picture[0, 2:14, 20:32], training[0, 0])
