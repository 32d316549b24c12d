"""A small classifier of the set at hand: its features, for distances, and its taste, for rejection.

Distances in its features are named after it and compare with each other alone. They are never FID,
which is a distance in the features of one certain network.
"""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from loopyvq.checkpoint import build_saved, load_weights
from loopyvq.config import config_to_dict
from loopyvq.data import to_float
from loopyvq.errors import ConfigError
from loopyvq.tensor_file import read_tensors, write_tensors

__all__ = [
    "ClassifierConfig",
    "SmallClassifier",
    "features_of",
    "load_classifier",
    "logits_of",
    "save_classifier",
]

_KIND = "classifier"
_CHUNK = 128


@dataclass(frozen=True)
class ClassifierConfig:
    """What it tells apart.

    Attributes:
        data: name of the set it was trained on; its features are named after it.
        image_channels: 3 for colour, 1 for grey.
        class_names: one for every class, at least two.
        width: channels of the first layer; the features have four times as many.
    """

    data: str = "images"
    image_channels: int = 3
    class_names: tuple[str, ...] = field(default=("0", "1"))
    width: int = 32

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.image_channels not in (1, 3):
            raise ConfigError(f"image_channels must be 1 or 3, got {self.image_channels}")
        if len(self.class_names) < 2 or self.width < 1:
            raise ConfigError("a classifier needs at least two classes and a width of at least 1")


class SmallClassifier(nn.Module):
    """Four halvings, then the mean over all places, then one linear layer.

    Args:
        config: what it tells apart.

    Example:
        >>> classifier = SmallClassifier(ClassifierConfig(data="shapes")).eval()
        >>> classifier.name, classifier(torch.zeros(2, 3, 40, 64)).shape
        ('small-classifier(shapes)', torch.Size([2, 2]))
    """

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        before, width = config.image_channels, config.width
        for after in (width, 2 * width, 4 * width, 4 * width):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
            before = after
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Linear(before, len(config.class_names))

    @property
    def name(self) -> str:
        """What distances in its features are called."""
        return f"small-classifier({self.config.data})"

    def features(self, images: Float[Tensor, "b c H W"]) -> Float[Tensor, "b d"]:
        """Give what it sees in images.

        Args:
            images: in [-1, 1], of any size; distances compare images of one size.

        Returns:
            One row per image.
        """
        seen: Tensor = self.trunk(images)
        return seen.mean(dim=(2, 3))

    def forward(self, images: Float[Tensor, "b c H W"]) -> Float[Tensor, "b k"]:
        """Give the logits of every class."""
        logits: Tensor = self.head(self.features(images))
        return logits


@torch.no_grad()
def features_of(
    classifier: SmallClassifier, images: UInt8[Tensor, "n c H W"]
) -> Float[Tensor, "n d"]:
    """Give the features of many images.

    Args:
        classifier: in evaluation mode.
        images: their pixels.

    Returns:
        One row per image.
    """
    return torch.cat([classifier.features(batch) for batch in _batches(classifier, images)])


@torch.no_grad()
def logits_of(
    classifier: SmallClassifier, images: UInt8[Tensor, "n c H W"]
) -> Float[Tensor, "n k"]:
    """Give the logits of many images.

    Args:
        classifier: in evaluation mode.
        images: their pixels.

    Returns:
        One row per image, one column per class.
    """
    return torch.cat([classifier(batch) for batch in _batches(classifier, images)])


def save_classifier(path: str | Path, classifier: SmallClassifier, **notes: object) -> None:
    """Write a classifier.

    Args:
        path: where to.
        classifier: the model.
        notes: values that JSON can hold, such as how often it is right.

    Raises:
        CheckpointError: the file cannot be written.
    """
    config = config_to_dict(classifier.config)
    write_tensors(Path(path), _KIND, classifier.state_dict(), config=config, notes=notes)


def load_classifier(path: str | Path) -> SmallClassifier:
    """Read a classifier.

    Args:
        path: a file that `save_classifier` wrote.

    Returns:
        The classifier, in evaluation mode.

    Raises:
        CheckpointError: the file is missing, damaged or does not fit its own config.
    """
    saved = read_tensors(path, _KIND)
    classifier = build_saved(SmallClassifier, ClassifierConfig, saved, path)
    load_weights(classifier, saved.tensors, path)
    return classifier.eval()


def _batches(classifier: SmallClassifier, images: Tensor) -> list[Tensor]:
    channels = classifier.config.image_channels
    if images.shape[1] != channels:
        raise ValueError(
            f"{classifier.name} takes images of {channels} channels, got {images.shape[1]}"
        )
    device = classifier.head.weight.device
    starts = range(0, len(images), _CHUNK)
    return [to_float(images[start : start + _CHUNK]).to(device) for start in starts]
