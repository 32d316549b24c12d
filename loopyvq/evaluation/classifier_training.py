"""Train the small classifier on a set with classes, in a minute."""

from typing import NamedTuple

import torch
from jaxtyping import Int, Shaped, UInt8
from torch import Tensor
from torch.nn import functional as F

from loopyvq.data import ImageSet, to_float
from loopyvq.data.decoding import BrokenImageError
from loopyvq.data.transforms import centre_place, cut
from loopyvq.errors import DataError
from loopyvq.evaluation.classifier import ClassifierConfig, SmallClassifier, logits_of

__all__ = ["LoadedImages", "load_images", "share_right", "train_classifier", "with_classes"]

_LEARNING_RATE = 3e-3
_BATCH = 64


class LoadedImages(NamedTuple):
    """Images of one size, in memory.

    Attributes:
        pixels: ``n c H W``.
        labels: the class of each; -1 where it has none.
    """

    pixels: UInt8[Tensor, "n c H W"]
    labels: Int[Tensor, " n"]

    def select(self, rows: Shaped[Tensor, " m"]) -> "LoadedImages":
        """Take some of the images, by their numbers or by whether each is taken."""
        return LoadedImages(self.pixels[rows], self.labels[rows])


def load_images(
    images: ImageSet, size: tuple[int, int] | None = None, limit: int | None = None, seed: int = 0
) -> LoadedImages:
    """Read images and bring them to one size.

    Args:
        images: where from; broken ones are skipped.
        size: height and width. Images of another size are cut to the square in their middle and
            resized, which needs a square size. By default the size of the first one.
        limit: most images; chosen at random.
        seed: of that choice.

    Returns:
        The images, in the order of the set.

    Raises:
        DataError: there is no image, or images of several sizes are to get one that is no square.
    """
    order = torch.arange(len(images))
    if limit is not None and limit < len(images):
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(images), generator=generator)[:limit].sort().values
    pixels, labels = [], []
    for index in order.tolist():
        try:
            image = images.read(index)
        except BrokenImageError as error:
            images.skip(error)
            continue
        size = size or (image.shape[1], image.shape[2])
        pixels.append(_fit(image, size, images.key(index)))
        label = images.label(index)
        labels.append(-1 if label is None else label)
    if not pixels:
        raise DataError("there is no readable image to compare with")
    return LoadedImages(torch.stack(pixels), torch.tensor(labels))


def with_classes(loaded: LoadedImages) -> LoadedImages:
    """Leave out images without a class.

    Args:
        loaded: images, some perhaps with the label -1.

    Returns:
        The others, in their order.
    """
    return loaded.select(loaded.labels >= 0)


def train_classifier(
    loaded: LoadedImages, config: ClassifierConfig, *, steps: int = 600, seed: int = 0
) -> SmallClassifier:
    """Train a classifier.

    Args:
        loaded: images with their classes; those without one are left out.
        config: what to tell apart.
        steps: batches of 64.
        seed: decides weights and batches.

    Returns:
        The classifier, in evaluation mode.

    Raises:
        DataError: fewer than two classes have images.
    """
    pixels, labels = with_classes(loaded)
    if len(labels.unique()) < 2:
        raise DataError(
            "a classifier needs images of at least two classes, one folder for each: give one that "
            "was trained before"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = SmallClassifier(config)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(classifier.parameters(), _LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, max(steps, 2))
    for _ in range(steps):
        chosen = torch.randint(len(pixels), (_BATCH,), generator=generator)
        batch = to_float(pixels[chosen])
        if float(torch.rand((), generator=generator)) < 0.5:
            batch = batch.flip(3)
        optimizer.zero_grad()
        torch.autograd.backward(F.cross_entropy(classifier(batch), labels[chosen]))
        optimizer.step()
        schedule.step()
    return classifier.eval()


def share_right(classifier: SmallClassifier, loaded: LoadedImages) -> float:
    """Tell how often a classifier is right.

    Args:
        classifier: in evaluation mode.
        loaded: images with their classes, at least one; those without one are left out.

    Returns:
        A share in [0, 1].
    """
    pixels, labels = with_classes(loaded)
    return float((logits_of(classifier, pixels).argmax(1) == labels).double().mean())


def _fit(image: Tensor, size: tuple[int, int], name: str) -> Tensor:
    if tuple(image.shape[1:]) == size:
        return image
    if size[0] != size[1]:
        raise DataError(
            f"{name} has {image.shape[1]} x {image.shape[2]} pixels and cannot be brought to "
            f"{size[0]} x {size[1]}, which is no square"
        )
    square: Tensor = cut(image, centre_place(image.shape[1], image.shape[2]), size[0])
    return square
