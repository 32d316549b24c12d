"""``loopyvq tables``: fit the entropy tables of a model to images, and store them with it."""

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from loopyvq.cli.options import add_device, add_model, add_strict, load_model

if TYPE_CHECKING:
    from torch import Tensor

    from loopyvq.data import ImageSet

_EXAMPLES = """\
examples:
  loopyvq tables runs/first --data photos/

Files become about a sixth smaller. Files made before need the model without tables or with the
tables of that time: fit once, before a model is given away.
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
    add_device(parser)
    add_strict(parser)


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Fit tables."""
    from loopyvq.codec import fit_tables_to_images, save_tables
    from loopyvq.data import open_image_set
    from loopyvq.errors import ConfigError

    if arguments.limit < 1:
        raise ConfigError(f"--limit must be at least 1, got {arguments.limit}")
    tokenizer = load_model(arguments)
    channels = tokenizer.config.image_channels
    images = open_image_set(arguments.data, channels=channels, strict=arguments.strict)
    tables = fit_tables_to_images(tokenizer, _some(images, arguments.limit))
    save_tables(arguments.model, tables)
    print(f"{arguments.model}: tables of {tables.num_bytes:,} bytes")


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
