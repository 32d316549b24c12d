"""``loopyvq decompress``: files back to images and arrays."""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from loopyvq.cli.inputs import (
    add_limits,
    input_files,
    open_codec,
    read_codes,
    read_file,
)
from loopyvq.cli.options import add_codec_model, add_device, open_device
from loopyvq.cli.outputs import Outputs, add_jobs, add_overwrite, in_jobs, png_of, spare_original

_EXAMPLES = """\
examples:
  loopyvq decompress compressed/ --model runs/first --out images/
  loopyvq decompress photo.jpg.lvq --model runs/first --turns 2       a coarser image
  loopyvq decompress half-a-download.lvq --model runs/first --partial
  loopyvq decompress vectors.npy.lvq
"""


class Order(NamedTuple):
    """A file and how to read it.

    Attributes:
        path: of the file.
        name: of what comes of it, without a suffix.
        model: path of the tokenizer.
        device: where to run it.
        turns: first tokens to use, or None for all.
        partial: whether it may be cut off.
        codebook: path of an array's codebook, or None.
        max_pixels: of an image, or numbers of an array.
        max_tokens: sites or vectors times their largest length.
    """

    path: Path
    name: str
    model: str
    device: str
    turns: int | None
    partial: bool
    codebook: str | None
    max_pixels: int
    max_tokens: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    parser.add_argument("files", nargs="+", metavar="FILE", help=".lvq files, or folders of them")
    add_codec_model(parser)
    parser.add_argument("--out", default="decompressed", metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--turns", type=int, metavar="N", help="use only the first N tokens of every site"
    )
    parser.add_argument(
        "--partial", action="store_true", help="take what is there of files that were cut off"
    )
    parser.add_argument("--codebook", metavar="FILE", help="of arrays that do not store theirs")
    add_limits(parser)
    add_overwrite(parser)
    add_jobs(parser)
    add_device(parser)


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Decompress files."""
    from tqdm import tqdm

    from loopyvq.tensor_file import write_atomically

    device = str(open_device(arguments.device))
    limits = (arguments.max_pixels, arguments.max_tokens)
    rest = (arguments.turns, arguments.partial, arguments.codebook, *limits)
    orders = [
        Order(path, name.removesuffix(".lvq"), arguments.model, device, *rest)
        for path, name in input_files(arguments.files, ".lvq")
    ]
    outputs = Outputs(arguments.out)
    bar = tqdm(total=len(orders), unit="file", leave=False, disable=None)
    for order, (suffix, blob) in in_jobs(_decompress, orders, arguments.jobs):
        # a.jpg becomes a.jpg.png: it may have a neighbour a.png.
        ending = "" if order.name.lower().endswith(suffix) else suffix
        path = outputs.path(order.name, ending)
        spare_original(path, order.path, arguments.overwrite)
        write_atomically(path, blob)
        bar.update()
        tqdm.write(str(path))
    bar.close()


def _decompress(order: Order) -> tuple[str, bytes]:
    """Read one file, in whatever process, and write it in a common format."""
    from loopyvq.coding import read_container
    from loopyvq.errors import BitstreamError

    data = read_file(order.path)
    try:
        header = read_container(data, order.partial).header
        if not header.channels:
            return ".npy", _array(data, order)
        return ".png", _image(data, order)
    except BitstreamError as error:
        raise BitstreamError(f"{order.path}: {error}") from error


def _image(data: bytes, order: Order) -> bytes:
    codec = open_codec(order.model, order.device, order.max_pixels, order.max_tokens)
    return png_of(codec.decompress(data, order.turns, order.partial))


def _array(data: bytes, order: Order) -> bytes:
    import numpy as np

    from loopyvq.codec import ReadingLimits, decompress_array

    limits = ReadingLimits(order.max_pixels, order.max_tokens)
    codebook = read_codes(order.codebook)
    vectors = decompress_array(data, codebook, order.turns, order.partial, limits)
    stream = io.BytesIO()
    np.save(stream, vectors, allow_pickle=False)
    return stream.getvalue()
