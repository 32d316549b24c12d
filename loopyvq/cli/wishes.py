"""What shall be drawn, from the words of the command line."""

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from loopyvq.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from loopyvq.conditions import Condition
    from loopyvq.data.token_source import TokenSource
    from loopyvq.generation import ImagePrior
    from loopyvq.models.prior.base import Request
    from loopyvq.pretokenize import KnownConfig

__all__ = ["add_wishes", "known_as_trained", "read_known", "wanted_classes", "wished_request"]

_PREFIX = "--condition."


def add_wishes(parser: argparse.ArgumentParser) -> None:
    """Let a command say what its images shall be."""
    known = parser.add_argument_group("what the images shall be")
    known.add_argument(
        "--class",
        dest="classes",
        action="append",
        metavar="NAME",
        help="a class by name or number; may be repeated (default: all in turn)",
    )
    known.add_argument(
        "--box",
        dest="boxes",
        action="append",
        metavar="CLASS,TOP,LEFT,BOTTOM,RIGHT",
        help="a thing by its number and where it is, in shares of the image; may be repeated",
    )
    known.add_argument(
        "--condition", metavar="IMAGES", help="images, or label maps, that tell the condition"
    )
    known.add_argument(
        "--condition-tokenizer", default="", metavar="MODEL", help="as for `loopyvq pretokenize`"
    )
    known.add_argument("--condition-cells", type=int, metavar="N", help="the same")
    known.add_argument(
        "--paint", metavar="IMAGE", help="where detail goes: white for the most tokens"
    )


def wanted_classes(
    arguments: argparse.Namespace, model: "ImagePrior", count: int
) -> "Tensor | None":
    """Say of which class every image shall be.

    Args:
        arguments: with ``classes``.
        model: knows the classes.
        count: number of images.

    Returns:
        Their numbers, or nothing for a prior without classes.

    Raises:
        ValueError: there is no such class.
    """
    from loopyvq.generation import class_numbers, classes_in_turn

    chosen = class_numbers(arguments.classes, model.source) if arguments.classes else None
    return classes_in_turn(model.source, count, chosen).classes


def wished_request(
    arguments: argparse.Namespace,
    options: Sequence[str],
    model: "ImagePrior",
    size: tuple[int, int],
    classes: "Tensor | None",
    count: int,
) -> "Request":
    """Say what shall be drawn.

    Args:
        arguments: of `add_wishes`.
        options: how the condition is written in its files.
        model: draws the images.
        size: of the images, in pixels.
        classes: class of each.
        count: number of images.

    Returns:
        The request.

    Raises:
        LoopyVQError: a file cannot be read or does not fit the prior.
        ValueError: the size cannot be.
    """
    from loopyvq.data import open_image_set
    from loopyvq.generation import lengths_of_picture, told_boxes, told_places
    from loopyvq.models.prior.base import Request

    grid = model.grid_of(size)
    boxes = told_boxes(model.source, arguments.boxes or (), count).boxes
    condition = told_places(model, size, count)._replace(classes=classes, boxes=boxes)
    if arguments.condition and arguments.boxes:
        raise ConfigError("--condition tells of boxes what --box says by hand: give one of both")
    if arguments.condition:
        told = _told(arguments, options, model, size, count)
        condition = condition._replace(symbols=told.symbols, boxes=told.boxes)
    elif arguments.condition_tokenizer or arguments.condition_cells is not None:
        raise ConfigError("--condition-tokenizer and --condition-cells are for --condition")
    elif options:
        raise ConfigError(f"unknown option {options[0]} (see loopyvq sample --help)")
    painted = None
    if arguments.paint:
        picture = open_image_set(arguments.paint, channels=1, strict=True).read(0)
        painted = lengths_of_picture(picture, model.source, grid, count)
    return Request(grid, count, condition, painted=painted)


def read_known(
    kind: str,
    options: Sequence[str],
    tokenizer: str,
    cells: int,
    maps: str = "",
    defaults: Mapping[str, object] | None = None,
) -> "KnownConfig":
    """Read how a condition is written in its files.

    Args:
        kind: of the condition.
        options: words such as ``--condition.half right``.
        tokenizer: the model whose codes tell it, if there is one.
        cells: labels along a site's side.
        maps: where the maps are, if the options do not say.
        defaults: what holds of the condition where the options do not say.

    Returns:
        The config.

    Raises:
        ConfigError: an option is unknown, or the parts do not belong together.
    """
    from loopyvq.config import parse_config
    from loopyvq.data import ConditionDataConfig
    from loopyvq.pretokenize import KnownConfig

    for word in options:
        if word.startswith("--") and not word.startswith(_PREFIX):
            name = word.partition("=")[0]
            raise ConfigError(f"unknown option {name}: those of a condition begin with {_PREFIX}")
    words = [
        f"--{word.removeprefix(_PREFIX)}" if word.startswith("--") else word for word in options
    ]
    if words and kind in ("none", "class", "coordinates"):
        name = options[0].partition("=")[0]
        raise ConfigError(f"{name} says nothing of the condition {kind}: leave it out")
    if cells != 1 and (tokenizer or kind != "segmentation"):
        raise ConfigError("cells are for segmentation that is told in labels: leave them out")
    values = {**(defaults or {}), "kind": kind}
    if maps and not any(word.startswith(("--half", "--maps")) for word in words):
        values["maps"] = maps
    return KnownConfig(parse_config(ConditionDataConfig, values, words), tokenizer, cells)


def known_as_trained(
    prior: str,
    source: "TokenSource",
    options: Sequence[str],
    tokenizer: str,
    cells: int | None,
    maps: str = "",
) -> "KnownConfig":
    """Read how a condition is written in files, which is told to a prior as at its training.

    Args:
        prior: its path, beside which the tokenizer of its condition is looked for.
        source: what it was trained on.
        options: as for `read_known`.
        tokenizer: the model whose codes tell the condition; empty: the one of the training.
        cells: labels along a site's side; None: as at the training.
        maps: where the maps are, if the options do not say.

    Returns:
        The config; what the options leave open is as at the training.

    Raises:
        ConfigError: an option is unknown, or contradicts what the prior was trained on.
    """
    from loopyvq.checkpoint import prior_file
    from loopyvq.config import config_to_dict

    if not tokenizer and source.condition_path:
        tokenizer = str(prior_file(prior).parent / source.condition_path)
    if not source.box_classes:
        told = config_to_dict(source.told)
        usual = {name: told[name] for name in ("edges", "edge_sigma", "factor", "enlarge")}
        if source.condition == "segmentation" and not tokenizer:
            usual["labels"] = {"num_labels": source.symbols}
        cells = cells or source.told.cells or 1
        return read_known(source.condition, options, tokenizer, cells, maps, usual)
    cells = cells or 1
    trained = {
        "labels": {"num_labels": source.box_classes},
        "boxes": config_to_dict(source.boxes),
    }
    known = read_known(source.condition, options, tokenizer, cells, maps, trained)
    labels = known.data.labels.num_labels
    if known.data.boxes != source.boxes or labels != source.box_classes:
        raise ConfigError(
            f"{prior} knows boxes as it was trained on them, of {source.box_classes} labels: leave "
            f"out --condition.boxes and --condition.labels.num_labels"
        )
    return known


def _told(
    arguments: argparse.Namespace,
    options: Sequence[str],
    model: "ImagePrior",
    size: tuple[int, int],
    count: int,
) -> "Condition":
    """Read the maps that tell the condition."""
    from loopyvq.generation import maps_of_images

    source = model.source
    if not source.symbols and not source.box_classes:
        raise ConfigError(
            f"{arguments.prior} was trained without a map as its condition: leave --condition out"
        )
    # Label maps may come alone: then they stand for the images as well.
    has_maps = source.condition in ("segmentation", "boxes", "depth")
    known = known_as_trained(
        arguments.prior,
        source,
        options,
        arguments.condition_tokenizer,
        arguments.condition_cells,
        arguments.condition if has_maps else "",
    )
    return maps_of_images(arguments.condition, known, model, size, count)
