"""``loopyvq complete``: go on from a part of an image."""

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
from loopyvq.cli.gallery import CANVAS, Gallery, new_film, write_animation
from loopyvq.cli.wishes import add_wishes, wanted_classes, wished_request
from loopyvq.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from loopyvq.generation import ImagePrior
    from loopyvq.tokens import Tokens

TAKES_OPTIONS = True

_EXAMPLES = """\
examples:
  loopyvq complete runs/prior photo.png --keep top-half --count 8 --out completed/
  loopyvq complete runs/prior photo.png --keep mask.png --temperature 0.9

The image is cut into sites; those that are kept stay as they are, the others are drawn in the order
of reading. A site sees what is above it and to its left, so keep those parts: with bottom-half, the
upper half is drawn as if nothing was known. A mask is a picture of the image's size, white where
the image is kept. OUT/sheet.png begins with the image, as the tokenizer sees it, and what was kept.
"""

_ONE_ROW = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    add_drawing(parser)
    parser.add_argument("image", metavar="IMAGE", help="the image to complete")
    parser.add_argument(
        "--keep",
        default="top-half",
        metavar="PART",
        help="top-half, bottom-half, left-half, right-half, top-quarter, left-quarter, centre, "
        "nothing, or a mask (default: top-half)",
    )
    parser.add_argument("--count", type=int, default=8, metavar="N", help="how often (default: 8)")
    parser.add_argument("--out", default="completed", metavar="DIR", help="default: %(default)s")
    parser.add_argument("--tokens-out", metavar="DIR", help="also write token files")
    parser.add_argument("--gif", action="store_true", help="write OUT/canvas.gif: how they filled")
    add_wishes(parser)


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Complete an image."""
    if arguments.count < 1:
        raise ConfigError(f"--count must be at least 1, got {arguments.count}")
    model = open_model(arguments)
    image = _read(arguments.image, model)
    size, count = (image.shape[1], image.shape[2]), arguments.count
    with told_in_one_line():
        windows = wished_windows(arguments, model)
        classes = wanted_classes(arguments, model, count)
        told = classes[:1] if classes is not None and len(arguments.classes or ()) == 1 else None
        known, mask = _known(image, arguments.keep, model, told)
        if bool(mask.all()):
            raise ConfigError(f"--keep {arguments.keep} leaves nothing to draw")
        request = wished_request(arguments, options, model, size, classes, count)
        request = request._replace(
            known=type(known)(*(item.expand(count, *item.shape[1:]) for item in known)),
            mask=mask.expand(count, *mask.shape),
        )
        gallery = Gallery(arguments.out, model, size, count, arguments.tokens_out)
        film = new_film(arguments.gif, request.grid)
        for tokens in draw_all(model, request, windows, arguments, film):
            gallery.add(tokens)
        if film is not None:
            path = Path(arguments.out) / CANVAS
            write_animation(path, film, model, size, model.ranks(windows, request.grid, mask))
    columns = count + 2 if count + 2 <= _ONE_ROW else None
    gallery.close(columns, before=_beginning(model, known, mask, gallery))
    kept = int(mask.sum())
    print(f"{count} completions in {arguments.out} from {kept} of {mask.numel()} sites")


def _read(path: str, model: "ImagePrior") -> "Tensor":
    from loopyvq.data import open_image_set

    channels = model.tokenizer.config.image_channels
    images = open_image_set(path, channels=channels, strict=True)
    if len(images) != 1:
        raise ConfigError(f"complete goes on from one image, {path} holds {len(images)}")
    image: Tensor = images.read(0)
    return image


def _known(
    image: "Tensor", keep: str, model: "ImagePrior", classes: "Tensor | None"
) -> "tuple[Tokens, Tensor]":
    """Encode the image as the prior's training images were, and find the sites to keep."""
    from loopyvq.conditions import Condition
    from loopyvq.data import open_image_set, to_float
    from loopyvq.generation import REGIONS, encode_like, mask_of_picture, mask_of_region

    known = encode_like(model, to_float(image).unsqueeze(0), Condition(classes=classes))
    grid = (known.lengths.shape[1], known.lengths.shape[2])
    if keep in REGIONS or not Path(keep).suffix:
        mask = mask_of_region(keep, grid)
    else:
        picture = open_image_set(keep, channels=1, strict=True).read(0)
        mask = mask_of_picture(picture, model.tokenizer.config.downsampling, grid)
    return known, mask


def _beginning(
    model: "ImagePrior", known: "Tokens", mask: "Tensor", gallery: Gallery
) -> "list[Tensor]":
    """Show the image and what was kept of it."""
    from loopyvq.pictures import veil

    image = gallery.look_at(known)[0]
    return [image, veil(image, mask, model.tokenizer.config.downsampling, 1.0)]
