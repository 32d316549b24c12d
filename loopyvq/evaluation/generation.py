"""How good generated images are: distances to real ones in the features of a small classifier."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F

from loopyvq.evaluation.classifier import SmallClassifier, features_of, logits_of
from loopyvq.metrics.frechet import frechet_distance
from loopyvq.metrics.kernel_distance import kernel_distance
from loopyvq.metrics.precision_recall import Nearest, nearest_rows, precision_recall
from loopyvq.pictures import sheet

__all__ = [
    "GenerationResult",
    "compare_images",
    "format_results",
    "memorisation",
    "nearest_images",
    "nearest_sheet",
]

_PIXELS_APART = 32  # side to which images are brought before they are compared pixel by pixel
_NEIGHBOURS = 3
_COMPARED = 1000  # training images whose own nearest neighbours tell what is usual


class GenerationResult(NamedTuple):
    """How far images are from real ones; plain numbers, ready for JSON.

    Attributes:
        what: the images that are compared.
        features: the network in whose features.
        num_images: how many.
        num_real: real ones they are compared with.
        frechet: the Fréchet distance; 0 is best, and it is lower for more images.
        kernel: the kernel distance, mean over subsets; 0 is best.
        kernel_std: its standard deviation over subsets.
        precision: share that lies within the manifold of the real ones.
        recall: share of the real ones within the manifold of these.
        class_share: share that the classifier takes for the class they should be; None where
            they should be of none.
    """

    what: str
    features: str
    num_images: int
    num_real: int
    frechet: float
    kernel: float
    kernel_std: float
    precision: float
    recall: float
    class_share: float | None = None


def compare_images(
    what: str,
    images: UInt8[Tensor, "n c H W"],
    real: UInt8[Tensor, "m c H W"],
    classifier: SmallClassifier,
    classes: Int[Tensor, " n"] | None = None,
    seed: int = 0,
) -> GenerationResult:
    """Measure how far images are from real ones.

    Args:
        what: a name for the result.
        images: those to judge, at least 4.
        real: those to compare with, of the same size, at least 4.
        classifier: gives the features; in evaluation mode.
        classes: what the images should be.
        seed: of the subsets for the kernel distance.

    Returns:
        The distances.

    Raises:
        ValueError: there are too few images, or the classifier takes others.
    """
    ours, theirs = features_of(classifier, images).cpu(), features_of(classifier, real).cpu()
    generator = torch.Generator().manual_seed(seed)
    kernel = kernel_distance(ours, theirs, generator)
    shares = precision_recall(ours, theirs, _NEIGHBOURS)
    class_share = None
    if classes is not None:
        guessed = logits_of(classifier, images).argmax(dim=1).cpu()
        class_share = float((guessed == classes).double().mean())
    return GenerationResult(
        what=what,
        features=classifier.name,
        num_images=len(images),
        num_real=len(real),
        frechet=frechet_distance(ours, theirs),
        kernel=kernel.mean,
        kernel_std=kernel.std,
        precision=shares.precision,
        recall=shares.recall,
        class_share=class_share,
    )


def nearest_images(
    images: UInt8[Tensor, "n c H W"], training: UInt8[Tensor, "m c H W"], count: int = 3
) -> Nearest:
    """Find the training images that look most like others, pixel by pixel.

    Args:
        images: those to find neighbours of.
        training: where to look, at least ``count``.
        count: neighbours of each.

    Returns:
        Root mean squared differences, in grey levels of 255, at up to 32 pixels a side, and the
        numbers of the training images.
    """
    small = _small(training)
    near = nearest_rows(_small(images), small, count)
    return near._replace(distance=near.distance / small.shape[1] ** 0.5)


def memorisation(images: UInt8[Tensor, "n c H W"], training: UInt8[Tensor, "m c H W"]) -> float:
    """Tell how much closer images are to training images than those are to each other.

    Args:
        images: generated ones.
        training: what the prior was trained on, at least two.

    Returns:
        Median distance to the nearest training image, divided by the median distance of training
        images to their nearest other one. About 1 is what new images have, 0 is copies. Images
        that are smoother than real ones have less than 1 without being copies: look at them.
    """
    small = _small(training)
    found = nearest_rows(_small(images), small, 1).distance.median()
    usual = nearest_rows(small[:_COMPARED], small, 1, skip=1).distance.median()
    return float(found / usual.clamp(min=1e-9))


def nearest_sheet(
    images: UInt8[Tensor, "n c H W"], training: UInt8[Tensor, "m c H W"], count: int = 3
) -> UInt8[Tensor, "3 H2 W2"]:
    """Show images, each followed by the training images nearest to it.

    Args:
        images: one per row.
        training: where to look.
        count: neighbours of each.

    Returns:
        The sheet.
    """
    near = nearest_images(images, training, count).index
    rows = [
        [image, torch.full_like(image[:, :, :2], 255), *training[index]]
        for image, index in zip(images, near, strict=True)
    ]
    return sheet(rows, gap=2)


def format_results(results: list[GenerationResult]) -> str:
    """Print results as a table.

    Args:
        results: at least one, of one network's features.

    Returns:
        Lines of text.
    """
    head = f"{'images':<24} {'n':>6} {'Frechet':>9} {'kernel':>18} {'precision':>9} {'recall':>7}"
    lines = [f"features: {results[0].features} (not FID)", "", head]
    for row in results:
        kernel = f"{row.kernel:.5f} +- {row.kernel_std:.5f}"
        line = (
            f"{row.what:<24} {row.num_images:>6} {row.frechet:>9.4f} {kernel:>18} "
            f"{row.precision:>9.3f} {row.recall:>7.3f}"
        )
        if row.class_share is not None:
            line += f"  {row.class_share:.1%} taken for their class"
        lines.append(line)
    return "\n".join(lines)


def _small(images: Tensor) -> Float[Tensor, "n d"]:
    pixels = images.float()
    if min(images.shape[2:]) > _PIXELS_APART:
        pixels = F.adaptive_avg_pool2d(pixels, _PIXELS_APART)
    return pixels.flatten(1)
