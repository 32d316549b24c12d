"""``loopyvq evaluate``: how good reconstructions are, and what they cost."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loopyvq.cli.options import add_device, add_model, add_stop, add_strict, load_model

if TYPE_CHECKING:
    from loopyvq.evaluation import OperatingPoint
    from loopyvq.models import Tokenizer

_EXAMPLES = """\
examples:
  loopyvq evaluate runs/first --data photos/
  loopyvq evaluate runs/first --data kodak.zip --thresholds 0.5 0.3 0.2 0.1 --json rd.json
  loopyvq evaluate runs/first --data kodak.zip --depths 1 2 4 8 --csv images.csv

Bits are estimates: the length of an adaptive code over codes and stops, learned on the way.
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
    add_stop(parser)
    add_device(parser)
    add_strict(parser)


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Evaluate a tokenizer."""
    from tqdm import tqdm

    from loopyvq.checkpoint import write_atomically
    from loopyvq.data import Subset, open_image_set
    from loopyvq.errors import ConfigError
    from loopyvq.evaluation import evaluate
    from loopyvq.evaluation.tables import format_points, format_usage, to_csv, to_json

    tokenizer = load_model(arguments)
    points = _points(tokenizer, arguments)
    channels = tokenizer.config.image_channels
    images = open_image_set(arguments.data, channels=channels, strict=arguments.strict)
    if arguments.limit is not None:
        if arguments.limit < 1:
            raise ConfigError(f"--limit must be at least 1, got {arguments.limit}")
        images = Subset(images, range(min(arguments.limit, len(images))))
    bar = tqdm(images.images(), total=len(images), unit="image", leave=False, disable=None)
    result = evaluate(tokenizer, bar, points)
    print(format_points(result.points))
    finest = result.points[-1]
    print(
        f"\nAt the last of these, {finest.num_images} images, std(log |z|) "
        f"{finest.spread_of_energies:.2f}, {finest.length_histogram[0]} sites without a token:\n"
    )
    print(format_usage(finest))
    if images.broken:
        print(f"\n{len(images.broken)} broken images were skipped")
    if arguments.json:
        text = to_json(result, model=arguments.model, data=str(arguments.data))
        write_atomically(Path(arguments.json), text.encode())
    if arguments.csv:
        write_atomically(Path(arguments.csv), to_csv(result).encode())


def _points(tokenizer: "Tokenizer", arguments: argparse.Namespace) -> "list[OperatingPoint]":
    from loopyvq import evaluation

    if arguments.thresholds:
        return evaluation.points_at_thresholds(tokenizer, arguments.thresholds)
    if arguments.depths:
        return evaluation.points_at_depths(tokenizer, arguments.depths)
    if arguments.lengths:
        return evaluation.points_at_lengths(tokenizer, arguments.lengths)
    return evaluation.default_points(tokenizer)
