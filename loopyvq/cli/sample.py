"""``loopyvq sample``: new images from a prior."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loopyvq.cli.drawing import (
    add_drawing,
    draw_all,
    open_model,
    size_of,
    told_in_one_line,
    wished_windows,
)
from loopyvq.cli.gallery import CANVAS, Gallery, new_film, write_animation
from loopyvq.cli.wishes import add_wishes, wanted_classes, wished_request
from loopyvq.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from loopyvq.generation import ImagePrior, Jury

TAKES_OPTIONS = True

_EXAMPLES = """\
examples:
  loopyvq sample runs/prior --count 64 --out samples/ --gif
  loopyvq sample runs/prior --class Forest --class River --top-p 0.95 --guidance 1.5
  loopyvq sample runs/prior --size 128x256 --stride 4 --count 2
  loopyvq sample runs/prior --reject 0.75 --classifier classifier.safetensors
  loopyvq sample runs/facades --condition facades.zip --condition.half right \\
      --condition.labels.palette cmp_facades
  loopyvq sample runs/facade_boxes --box 3,0.1,0.2,0.4,0.35 --box 3,0.1,0.6,0.4,0.75

Images are written as they are finished, then OUT/sheet.png with the first hundred. OUT must hold no
images of an earlier run beyond --count. The same seed gives the same images. Conditions are read as
at training: their dotted options are those of `loopyvq pretokenize`. A classifier is made by
`loopyvq evaluate generation`.
"""
_MOST_COLUMNS = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    add_drawing(parser)
    parser.add_argument("--count", type=int, default=16, metavar="N", help="images (default: 16)")
    parser.add_argument("--out", default="samples", metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--size", metavar="HxW", help="pixels of an image (default: as at training)"
    )
    parser.add_argument("--tokens-out", metavar="DIR", help="also write token files")
    parser.add_argument("--gif", action="store_true", help="write OUT/canvas.gif: how they filled")
    add_wishes(parser)
    parser.add_argument(
        "--reject", type=float, default=0.0, metavar="SHARE", help="share to be thrown away"
    )
    parser.add_argument("--classifier", metavar="FILE", help="says which images are to be kept")


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Draw images."""
    _require_counts(arguments)
    model = open_model(arguments)
    with told_in_one_line():
        size = size_of(arguments.size, "--size") if arguments.size else model.trained_size
        windows = wished_windows(arguments, model)
        classes = wanted_classes(arguments, model, arguments.count)
        request = wished_request(arguments, options, model, size, classes, arguments.count)
        jury = _jury(arguments, model, classes) if arguments.reject else None
        if jury is not None:
            request = request.select(jury.rows)
        gallery = Gallery(arguments.out, model, size, arguments.count, arguments.tokens_out)
        film = new_film(arguments.gif, request.grid)
        for tokens in draw_all(model, request, windows, arguments, film):
            if jury is None:
                gallery.add(tokens)
            else:
                jury.see(tokens, gallery.look_at(tokens))
        if jury is not None:
            gallery.add(jury.best())
        if film is not None:
            path = Path(arguments.out) / CANVAS
            write_animation(path, film, model, size, model.ranks(windows, request.grid))
    gallery.close(_columns(arguments, model))
    mean = gallery.num_tokens / gallery.count
    print(f"{gallery.count} images in {arguments.out}, {mean:.1f} tokens each; see sheet.png there")


def _require_counts(arguments: argparse.Namespace) -> None:
    if arguments.count < 1:
        raise ConfigError(f"--count must be at least 1, got {arguments.count}")
    if not 0 <= arguments.reject < 1:
        raise ConfigError(f"--reject must be within [0, 1), got {arguments.reject:g}")
    if bool(arguments.reject) != bool(arguments.classifier):
        raise ConfigError("--reject needs a --classifier, and a --classifier is for --reject")
    if arguments.reject and arguments.gif:
        raise ConfigError("--gif shows all images as they fill, --reject drops some: choose one")


def _jury(arguments: argparse.Namespace, model: "ImagePrior", classes: "Tensor | None") -> "Jury":
    """Find who says which images are to be kept."""
    from functools import partial

    import torch

    from loopyvq.evaluation.classifier import load_classifier, logits_of
    from loopyvq.generation import Jury

    classifier, names = load_classifier(arguments.classifier), model.source.class_names
    known = classifier.config.class_names
    if len(known) != (model.source.classes or len(known)) or (names and known != names):
        raise ConfigError(
            f"{arguments.classifier} knows other classes than {arguments.prior}: train one on the "
            f"same images"
        )
    wanted = classes
    if wanted is None:  # images of one map, or of nothing at all, compete with each other
        number = torch.arange(arguments.count)
        wanted = number if arguments.condition else torch.zeros_like(number)
    judge = partial(logits_of, classifier)
    return Jury(judge, wanted, arguments.reject, by_class=classes is not None)


def _columns(arguments: argparse.Namespace, model: "ImagePrior") -> int | None:
    """Put every class into a column of its own, where there are not too many."""
    count = len(arguments.classes) if arguments.classes else model.source.classes
    return count if 1 < count <= min(_MOST_COLUMNS, arguments.count) else None
