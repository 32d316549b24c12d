import pytest
import torch

from loopyvq.errors import CheckpointError, ConfigError
from loopyvq.evaluation.classifier import (
    ClassifierConfig,
    SmallClassifier,
    features_of,
    load_classifier,
    logits_of,
    save_classifier,
)
from loopyvq.tensor_file import read_tensors


@pytest.fixture
def classifier() -> SmallClassifier:
    torch.manual_seed(0)
    config = ClassifierConfig(data="shapes", class_names=("disc", "ring", "bar"), width=4)
    return SmallClassifier(config).eval()


def images(count: int, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, channels, 17, 20), generator=generator).to(torch.uint8)


def test_features_are_named_after_their_set_and_never_fid(classifier):
    assert classifier.name == "small-classifier(shapes)"
    assert features_of(classifier, images(5)).shape == (5, 16)
    assert logits_of(classifier, images(5)).shape == (5, 3)


def test_many_images_are_as_few(classifier):
    many = images(300)
    whole = features_of(classifier, many)
    assert torch.allclose(whole[290:], features_of(classifier, many[290:]), atol=1e-5)


def test_a_file_holds_all_of_it(classifier, tmp_path):
    path = tmp_path / "classifier.safetensors"
    save_classifier(path, classifier, share_right=0.9)
    again = load_classifier(path)
    assert again.config == classifier.config
    assert torch.equal(logits_of(again, images(3)), logits_of(classifier, images(3)))
    assert read_tensors(path, "classifier").header["notes"] == {"share_right": 0.9}


def test_files_that_are_no_classifier(classifier, tmp_path):
    with pytest.raises(CheckpointError, match="there is no file"):
        load_classifier(tmp_path / "none.safetensors")
    path = tmp_path / "classifier.safetensors"
    save_classifier(path, classifier)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="damaged"):
        load_classifier(path)


def test_it_takes_images_of_its_channels(classifier):
    with pytest.raises(ValueError, match="images of 3 channels, got 1"):
        features_of(classifier, images(2, channels=1))


@pytest.mark.parametrize("options", [{"class_names": ("one",)}, {"image_channels": 2}])
def test_configs_that_cannot_be(options):
    with pytest.raises(ConfigError):
        ClassifierConfig(**options)
