"""``loopyvq tables``: fit the entropy tables of a model to images, and store them with it."""

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from loopyvq.cli.inputs import open_pixels
from loopyvq.cli.options import add_device, add_model, add_strict, load_model
from loopyvq.pretrained import pretrained_file

if TYPE_CHECKING:
    from torch import Tensor

    from loopyvq.data import ImageSet
    from loopyvq.models import Tokenizer

DEFAULT_EXAMPLES = 400_000
"""Symbols of each turn to learn from, at most."""

_EXAMPLES = """\
examples:
  loopyvq tables runs/first --data photos/
  loopyvq tables runs/first --data photos/ --limit 1500 --examples 1000000 --wide
  loopyvq tables runs/first --data photos/ --fixed-depth --out fixed.safetensors

Files become about a sixth smaller. `loopyvq train tokenizer` does this at its end. Files made
before need the model without tables or with those of that time: fit once, before a model is given
away.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    add_model(parser)
    parser.add_argument(
        "--data", required=True, metavar="PATH", help="images, such as it was trained on"
    )
    parser.add_argument(
        "--limit", type=int, default=400, metavar="N", help="images to use (default: %(default)s)"
    )
    parser.add_argument(
        "--examples",
        type=int,
        default=DEFAULT_EXAMPLES,
        metavar="N",
        help="symbols of each turn to learn from, at most (default: %(default)s)",
    )
    parser.add_argument(
        "--wide",
        action="store_true",
        help="networks of up to three and a half times the width, for a million examples a turn or "
        "more: a few per cent fewer bits in the turns that were measured (docs/experiments.md); "
        "larger tables, and more to compute for every file",
    )
    parser.add_argument(
        "--fixed-depth",
        action=argparse.BooleanOptionalAction,
        help="fit to the same number of tokens at every site (default: as the model's threshold "
        "says)",
    )
    parser.add_argument(
        "--out", metavar="FILE", help="write a model of its own (default: into MODEL)"
    )
    add_device(parser)
    parser.add_argument(
        "--depth", action="store_true", help="the images are depth maps, see docs/data.md"
    )
    add_strict(parser)


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Fit tables."""
    from loopyvq.errors import ConfigError

    for name in ("limit", "examples"):
        if getattr(arguments, name) < 1:
            raise ConfigError(f"--{name} must be at least 1, got {getattr(arguments, name)}")
    if arguments.out is None and pretrained_file(arguments.model) is not None:
        raise ConfigError(
            f"{arguments.model} comes with loopyvq: write a model of your own with --out"
        )
    print(fit_to_data(load_model(arguments), arguments))


def fit_to_data(tokenizer: "Tokenizer", arguments: argparse.Namespace) -> str:
    """Fit tables to images and store them.

    Args:
        tokenizer: the model.
        arguments: with ``model`` (its path), ``data``, ``limit``, ``examples``,
            ``wide``, ``fixed_depth``, ``depth`` (whether these are depth maps), ``out`` and
            ``strict``.

    Returns:
        A line that says what was written.

    Raises:
        DataError: there are no images.
    """
    from loopyvq.codec import fit_tables_to_images, save_tables
    from loopyvq.coding.fit import NARROW, WIDE

    channels, depth, strict = tokenizer.config.image_channels, arguments.depth, arguments.strict
    images = open_pixels(arguments.data, arguments.model, channels, depth=depth, strict=strict)
    tables = fit_tables_to_images(
        tokenizer,
        _some(images, arguments.limit),
        fixed_depth=arguments.fixed_depth,
        examples_per_turn=arguments.examples,
        widths=WIDE if arguments.wide else NARROW,
    )
    file = save_tables(arguments.model, tables, arguments.out)
    return f"{file}: tables of {tables.num_bytes:,} bytes"


def _some(images: "ImageSet", limit: int) -> "Iterator[Tensor]":
    """Read images from all over a set, with a progress bar."""
    import numpy as np
    from tqdm import tqdm

    from loopyvq.data import Subset

    order = np.random.default_rng(0).permutation(len(images))[:limit]
    chosen = Subset(images, sorted(order.tolist()))
    for _, image in tqdm(
        chosen.images(), total=len(chosen), unit="image", leave=False, disable=None
    ):
        yield image
