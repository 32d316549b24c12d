"""``loopyvq evaluate``: how good reconstructions are, and what they cost."""

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopyvq.cli.inputs import open_pixels
from loopyvq.cli.options import add_device, add_model, add_stop, add_strict, load_model
from loopyvq.errors import ConfigError

if TYPE_CHECKING:
    from loopyvq.data import ImageSet
    from loopyvq.evaluation import OperatingPoint
    from loopyvq.models import Tokenizer

_EXAMPLES = """\
examples:
  loopyvq evaluate runs/first --data photos/
  loopyvq evaluate runs/first --data kodak.zip --thresholds 0.5 0.3 0.2 0.1 --json rd.json
  loopyvq evaluate runs/first --data kodak.zip --depths 1 2 4 8 --csv images.csv
  loopyvq evaluate runs/labels --data maps/ --palette colours.txt

Bits are estimates: the length of an adaptive code over codes and stops, learned on the way.
See also: loopyvq evaluate rd, evaluate generation, evaluate prior.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    add_model(parser)
    parser.add_argument(
        "--data", required=True, metavar="PATH", help="images, as for `loopyvq train`"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--thresholds", type=float, nargs="+", metavar="T", help="stop at these distances"
    )
    which.add_argument(
        "--lengths",
        type=float,
        nargs="+",
        metavar="N",
        help="stop at distances that gave these mean lengths in training (default: six of them)",
    )
    which.add_argument(
        "--depths",
        type=int,
        nargs="+",
        metavar="N",
        help="give every site this many turns, as a fixed-depth residual quantizer would",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images")
    parser.add_argument("--json", metavar="FILE", help="write everything as JSON")
    parser.add_argument("--csv", metavar="FILE", help="write one line per image and point as CSV")
    parser.add_argument(
        "--depth", action="store_true", help="the images are depth maps, see docs/data.md"
    )
    labels = parser.add_argument_group(
        "label maps", "how they are written, for a tokenizer of label maps; see docs/data.md"
    )
    labels.add_argument(
        "--palette", metavar="NAME", help="their colours: cmp_facades, or a text file"
    )
    labels.add_argument("--label-shift", type=int, metavar="N", help="add N to every label")
    labels.add_argument(
        "--half", choices=("left", "right"), help="the half of each picture that is its map"
    )
    add_stop(parser)
    add_device(parser)
    add_strict(parser)


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Evaluate a tokenizer."""
    if arguments.depths and (arguments.stop or arguments.min_length):
        raise ConfigError("--stop and --min-length are for sites that may end, not for --depths")
    tokenizer = load_model(arguments, label_maps=True)
    points = _points(tokenizer, arguments)
    if tokenizer.config.label_maps:
        _evaluate_label_maps(tokenizer, points, arguments)
    else:
        _evaluate_images(tokenizer, points, arguments)


def _evaluate_images(
    tokenizer: "Tokenizer", points: "list[OperatingPoint]", arguments: argparse.Namespace
) -> None:
    from loopyvq.evaluation import evaluate
    from loopyvq.evaluation.tables import format_points, format_usage, to_csv, to_json
    from loopyvq.tensor_file import write_atomically

    if arguments.palette or arguments.half or arguments.label_shift is not None:
        raise ConfigError("--palette, --label-shift and --half are for tokenizers of label maps")
    channels, depth, strict = tokenizer.config.image_channels, arguments.depth, arguments.strict
    images = open_pixels(arguments.data, arguments.model, channels, depth=depth, strict=strict)
    images = _first(images, arguments.limit)
    result = evaluate(tokenizer, _bar(images), points)
    print(format_points(result.points))
    finest = result.points[-1]
    print(
        f"\nAt the last of these, {finest.num_images} images, std(log |z|) "
        f"{finest.spread_of_energies:.2f}, {finest.length_histogram[0]} sites without a token:\n"
    )
    print(format_usage(finest))
    tiny = sum(math.isnan(row[-1]) for row in result.images) // len(points)
    if tiny:
        print(f"\n{tiny} images are under 11 pixels along a side and have no SSIM or MS-SSIM")
    _tell_broken(images)
    if arguments.json:
        text = to_json(result, model=arguments.model, data=str(arguments.data))
        write_atomically(Path(arguments.json), text.encode())
    if arguments.csv:
        write_atomically(Path(arguments.csv), to_csv(result).encode())


def _evaluate_label_maps(
    tokenizer: "Tokenizer", points: "list[OperatingPoint]", arguments: argparse.Namespace
) -> None:
    import json

    from loopyvq.data import LabelMapConfig, open_label_maps
    from loopyvq.evaluation import evaluate_label_maps
    from loopyvq.evaluation.tables import format_label_points
    from loopyvq.tensor_file import write_atomically

    if arguments.csv:
        raise ConfigError("--csv is for images: of label maps there is --json")
    if arguments.depth:
        raise ConfigError("--depth is for tokenizers of depth maps, this one is of label maps")
    labels = LabelMapConfig(
        num_labels=tokenizer.config.image_channels,
        palette=arguments.palette or "",
        shift=arguments.label_shift or 0,
    )
    half: Any = arguments.half or "none"
    maps = open_label_maps(arguments.data, labels, half, strict=arguments.strict)
    maps = _first(maps, arguments.limit)
    results = evaluate_label_maps(tokenizer, _bar(maps), points)
    print(format_label_points(results))
    _tell_broken(maps)
    if arguments.json:
        rows = [result._asdict() for result in results]
        report = {"model": arguments.model, "data": str(arguments.data), "points": rows}
        write_atomically(Path(arguments.json), (json.dumps(report, indent=2) + "\n").encode())


def _first(images: "ImageSet", limit: int | None) -> "ImageSet":
    from loopyvq.data import Subset

    if limit is None:
        return images
    if limit < 1:
        raise ConfigError(f"--limit must be at least 1, got {limit}")
    return Subset(images, range(min(limit, len(images))))


def _bar(images: "ImageSet") -> Iterator[Any]:
    from tqdm import tqdm

    return iter(tqdm(images.images(), total=len(images), unit="image", leave=False, disable=None))


def _tell_broken(images: "ImageSet") -> None:
    if images.broken:
        print(f"\n{len(images.broken)} broken images were skipped")


def _points(tokenizer: "Tokenizer", arguments: argparse.Namespace) -> "list[OperatingPoint]":
    from loopyvq import evaluation

    if arguments.thresholds:
        return evaluation.points_at_thresholds(tokenizer, arguments.thresholds)
    if arguments.depths:
        return evaluation.points_at_depths(tokenizer, arguments.depths)
    if arguments.lengths:
        return evaluation.points_at_lengths(tokenizer, arguments.lengths)
    return evaluation.default_points(tokenizer)
