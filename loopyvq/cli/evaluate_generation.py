"""``loopyvq evaluate generation``: how good the images of a prior are."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loopyvq.cli.drawing import (
    add_drawing,
    draw_all,
    open_model,
    told_in_one_line,
    wished_windows,
)
from loopyvq.cli.gallery import without_overviews
from loopyvq.cli.outputs import write_image
from loopyvq.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from loopyvq.data import ImageSet
    from loopyvq.evaluation.classifier import SmallClassifier
    from loopyvq.evaluation.classifier_training import LoadedImages
    from loopyvq.evaluation.generation import GenerationResult
    from loopyvq.generation import ImagePrior

_EXAMPLES = """\
examples:
  loopyvq evaluate generation runs/prior --data eurosat.zip --out runs/generation
  loopyvq evaluate generation runs/other --data eurosat.zip \\
      --features runs/generation/classifier.safetensors
  loopyvq evaluate generation drawn_elsewhere/ --data eurosat.zip

Distances are measured in the features of a small classifier, which is trained on --data (one folder
per class) unless --features names one. They are named after it, they are no FID, and only those of
the same features and the same number of images compare. OUT gets classifier.safetensors,
result.json, samples.png and nearest.png: samples beside the training images that look most alike.
"""
_HELD_OUT = 0.1
_SHOWN, _NEAREST = 64, 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    add_drawing(parser)
    parser.add_argument(
        "--data", required=True, metavar="IMAGES", help="real images to compare with"
    )
    parser.add_argument("--features", metavar="FILE", help="a classifier of an earlier evaluation")
    parser.add_argument(
        "--classifier-steps", type=int, default=600, metavar="N", help="default: %(default)s"
    )
    parser.add_argument(
        "--count",
        type=int,
        default=1000,
        metavar="N",
        help="images to draw and real ones to compare with (default: %(default)s)",
    )
    parser.add_argument(
        "--limit",
        type=int,
        metavar="N",
        help="use N images of --data, chosen at random, not all; they are kept in memory",
    )
    parser.add_argument("--out", default="generation", metavar="DIR", help="default: %(default)s")


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Draw images and compare them with real ones."""
    from loopyvq.data import open_image_set
    from loopyvq.evaluation.generation import format_results, memorisation

    if arguments.count < 4 or arguments.classifier_steps < 1:
        raise ConfigError("--count must be at least 4 and --classifier-steps at least 1")
    if arguments.limit is not None and arguments.limit < 8:
        raise ConfigError(f"--limit must be at least 8, got {arguments.limit}")
    out = Path(arguments.out)
    if _is_images(arguments.prior):
        channels, size, model = _channels(arguments), None, None
        ready = without_overviews(open_image_set(arguments.prior, channels=channels))
    else:
        ready, model = None, open_model(arguments)
        channels, size = model.tokenizer.config.image_channels, model.trained_size
    images = open_image_set(arguments.data, channels=channels)
    told = model is not None and bool(model.source.classes)
    if model is not None and told:
        _require_classes(model.source.class_names, arguments.prior, images, arguments.data)
    with told_in_one_line():
        real, others, training = _divide(arguments, images, size)
        classifier = _classifier(arguments, images, training, out)
        if told and arguments.features:
            _require_classes(
                classifier.config.class_names, arguments.features, images, arguments.data
            )
        if model is None:
            drawn, classes = _ready(ready, real), None
            results = []
        else:
            drawn, classes = _draw(arguments, model, real)
            results = [_reconstructed(model, others, real, classifier)]
        results.insert(0, _compare("other real images", others.pixels, real, classifier))
        results.append(_compare("samples", drawn, real, classifier, classes))
        closeness = memorisation(drawn, training.pixels)
    print(format_results(results))
    print(
        f"\nthe nearest training image is {closeness:.2f} times as far from a sample as from "
        f"another training image (copies: 0); see {out / 'nearest.png'}"
    )
    _write(out, results, closeness, drawn, training)


def _require_classes(known: "tuple[str, ...]", what: str, images: "ImageSet", data: str) -> None:
    """Refuse images whose classes have other numbers; a converted prior knows no names."""
    if not images.class_names or (known and images.class_names != known):
        raise ConfigError(
            f"{what} knows the classes {', '.join(known) or 'by number'}; those of {data} are "
            f"{', '.join(images.class_names) or 'none'}"
        )


def _channels(arguments: argparse.Namespace) -> int:
    """Tell how to read images that were drawn before: as the classifier wants them."""
    from loopyvq.evaluation.classifier import load_classifier

    return load_classifier(arguments.features).config.image_channels if arguments.features else 3


def _is_images(path: str) -> bool:
    """Whether a path holds images and no prior."""
    from loopyvq.checkpoint import prior_file

    there = Path(path)
    if there.is_dir():
        return not prior_file(there).is_file()
    return there.is_file() and there.suffix != ".safetensors"


def _divide(
    arguments: argparse.Namespace, images: "ImageSet", size: tuple[int, int] | None
) -> "tuple[LoadedImages, LoadedImages, LoadedImages]":
    """Give images to compare with, as many others, and all of them."""
    import torch

    from loopyvq.errors import DataError
    from loopyvq.evaluation.classifier_training import load_images

    everything = load_images(images, size, arguments.limit)
    count = min(arguments.count, len(everything.pixels) // 2)
    if count < 4:
        raise DataError(f"{arguments.data} holds too few images to compare with: at least 8")
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(everything.pixels), generator=generator)
    real, others = order[:count], order[count : 2 * count]
    return everything.select(real), everything.select(others), everything


def _classifier(
    arguments: argparse.Namespace, images: "ImageSet", training: "LoadedImages", out: Path
) -> "SmallClassifier":
    """Load the classifier, or train and save one."""
    import torch

    from loopyvq.evaluation.classifier import ClassifierConfig, load_classifier, save_classifier
    from loopyvq.evaluation.classifier_training import share_right, train_classifier, with_classes

    if arguments.features:
        return load_classifier(arguments.features)
    names = images.class_names if len(images.class_names) > 1 else ("0", "1")
    config = ClassifierConfig(_set_name(arguments.data), images.channels, names)
    training = with_classes(training)
    order = torch.randperm(len(training.labels), generator=torch.Generator().manual_seed(1))
    held_out = int(len(order) * _HELD_OUT) + 1
    kept, shown = training.select(order[held_out:]), training.select(order[:held_out])
    classifier = train_classifier(kept, config, steps=arguments.classifier_steps)
    right = share_right(classifier, shown)
    save_classifier(out / "classifier.safetensors", classifier, share_right=right)
    print(f"{classifier.name}: right on {right:.1%} of {held_out} held-out images\n")
    return classifier


def _set_name(data: str) -> str:
    """Name a set by its file, or by the folder of an idx file, which is always called the same."""
    path = Path(data)
    return path.resolve().parent.name if "-idx" in path.name else path.stem


def _draw(
    arguments: argparse.Namespace, model: "ImagePrior", real: "LoadedImages"
) -> "tuple[Tensor, Tensor | None]":
    """Draw as many images as there are real ones, of the same classes."""
    import torch

    from loopyvq.generation import paint, told_places
    from loopyvq.models.prior.base import Request

    source = model.source
    if source.symbols or source.box_classes:
        raise ConfigError(
            f"{arguments.prior} wants a map for every image: draw with `loopyvq sample "
            f"--condition` and evaluate the folder of images"
        )
    classes = real.labels if source.classes else None
    grid, count = model.grid_of(model.trained_size), len(real.labels)
    condition = told_places(model, model.trained_size, count)._replace(classes=classes)
    request = Request(grid, count, condition)
    images: list[Tensor] = []
    for tokens in draw_all(model, request, wished_windows(arguments, model), arguments):
        images += paint(model.tokenizer, tokens, source.threshold, model.trained_size)
    return torch.stack(images), classes


def _ready(images: "ImageSet | None", real: "LoadedImages") -> "Tensor":
    """Read images that were drawn before, of the size and number of the real ones."""
    from loopyvq.evaluation.classifier_training import load_images

    if images is None:
        raise ConfigError("there are no images")
    size = (real.pixels.shape[2], real.pixels.shape[3])
    pixels: Tensor = load_images(images, size, limit=len(real.labels)).pixels
    return pixels


def _reconstructed(
    model: "ImagePrior", others: "LoadedImages", real: "LoadedImages", classifier: "SmallClassifier"
) -> "GenerationResult":
    """Judge what the tokenizer alone loses, with tokens like those the prior learned."""
    import torch

    from loopyvq.conditions import Condition
    from loopyvq.data import to_float
    from loopyvq.generation import encode_like, paint

    images: list[Tensor] = []
    for start in range(0, len(others.pixels), _SHOWN):
        some = slice(start, start + _SHOWN)
        told = Condition(classes=others.labels[some] if model.source.classes else None)
        tokens = encode_like(model, to_float(others.pixels[some]), told)
        images += paint(model.tokenizer, tokens, model.source.threshold, model.trained_size)
    return _compare("reconstructions", torch.stack(images), real, classifier)


def _compare(
    what: str,
    images: "Tensor",
    real: "LoadedImages",
    classifier: "SmallClassifier",
    classes: "Tensor | None" = None,
) -> "GenerationResult":
    from loopyvq.evaluation.generation import compare_images

    return compare_images(what, images, real.pixels, classifier, classes)


def _write(
    out: Path,
    results: "list[GenerationResult]",
    closeness: float,
    drawn: "Tensor",
    training: "LoadedImages",
) -> None:
    """Write numbers and pictures."""
    import json

    from loopyvq.evaluation.generation import nearest_sheet
    from loopyvq.pictures import contact_sheet
    from loopyvq.tensor_file import write_atomically

    values = {"results": [row._asdict() for row in results], "memorisation": closeness}
    write_atomically(out / "result.json", json.dumps(values, indent=1).encode())
    write_image(out / "samples.png", contact_sheet(list(drawn[:_SHOWN])))
    write_image(out / "nearest.png", nearest_sheet(drawn[:_NEAREST], training.pixels))
