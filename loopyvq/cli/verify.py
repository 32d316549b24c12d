"""``loopyvq verify``: decode files and check what they promise."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from loopyvq.cli.inputs import (
    add_limits,
    input_files,
    open_codec,
    read_array,
    read_codes,
    read_file,
)
from loopyvq.cli.options import add_codec_model, add_device, open_device

_EXAMPLES = """\
examples:
  loopyvq verify photo.jpg.lvq --model runs/first                        does it decode?
  loopyvq verify photo.jpg.lvq --model runs/first --original photo.jpg   and keep its bound?
  loopyvq verify vectors.npy.lvq --original vectors.npy
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    parser.add_argument("files", nargs="+", metavar="FILE", help=".lvq files, or folders of them")
    add_codec_model(parser)
    parser.add_argument("--original", metavar="PATH", help="what one file was made from")
    parser.add_argument("--codebook", metavar="FILE", help="of arrays that do not store theirs")
    add_limits(parser)
    add_device(parser)


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Verify files."""
    from loopyvq.errors import BitstreamError, ConfigError

    files = input_files(arguments.files, ".lvq")
    if arguments.original is not None and len(files) > 1:
        raise ConfigError("--original belongs to one file: verify them one by one")
    for path, name in files:
        try:
            print(f"{name}: {verify_file(path, arguments)}")
        except BitstreamError as error:
            raise BitstreamError(f"{path}: {error}") from error


def verify_file(path: Path, arguments: argparse.Namespace) -> str:
    """Decode a file and compare it with its original, if that is given.

    Args:
        path: the file.
        arguments: with ``model``, ``original``, ``codebook``, ``device`` and those of `add_limits`.

    Returns:
        A line that says what was found.

    Raises:
        BitstreamError: the file cannot be decoded, or does not keep its promise.
        ConfigError: a codebook is given for an image.
    """
    from loopyvq.coding import read_container
    from loopyvq.errors import ConfigError

    data = read_file(path)
    if not read_container(data).header.channels:
        return _verify_array(data, arguments)
    if arguments.codebook is not None:
        raise ConfigError(f"--codebook is for arrays, and {path} is an image")
    return _verify_image(data, arguments)


def _verify_image(data: bytes, arguments: argparse.Namespace) -> str:
    from loopyvq.data import open_image_set
    from loopyvq.errors import BitstreamError, ConfigError

    device = str(open_device(arguments.device))
    codec = open_codec(arguments.model, device, arguments.max_pixels, arguments.max_tokens)
    sites = codec.decode_sites(data)
    codec.paint(sites)
    found = f"decodes, {sites.tokens.lengths.numel()} sites, {sites.num_escaped} with a remainder"
    if arguments.original is None:
        if sites.bound is None:
            return f"{found}; it makes no promise"
        return f"{found}; it promises an error of at most {sites.bound:.6g}"
    images = open_image_set(arguments.original, channels=sites.header.channels, strict=True)
    if len(images) != 1:
        raise ConfigError(f"--original must be one image, {arguments.original} holds {len(images)}")
    checked = codec.verify(data, images.read(0))
    verdict = (
        f"{found}; worst site {checked.worst:.6g}, threshold {checked.threshold:.6g}, "
        f"{100 * checked.share_within:.3f} % within"
    )
    if checked.bound is not None:
        verdict += f", promised {checked.bound:.6g}"
    if checked.bound is not None and not checked.worst <= checked.bound:
        raise BitstreamError(f"the bound is not kept: {verdict}")
    return verdict


def _verify_array(data: bytes, arguments: argparse.Namespace) -> str:
    import numpy as np

    from loopyvq.codec import ReadingLimits, decompress_array
    from loopyvq.coding import read_container
    from loopyvq.errors import BitstreamError, DataError

    limits = ReadingLimits(arguments.max_pixels, arguments.max_tokens)
    vectors = decompress_array(data, read_codes(arguments.codebook), limits=limits)
    bound = read_container(data).header.threshold
    found = f"decodes, {len(vectors)} vectors of {vectors.shape[1]} numbers"
    if arguments.original is None:
        return f"{found}; it promises an error of at most {bound:.6g}"
    original = read_array(arguments.original)
    if original.dtype.kind != "f":
        raise DataError(f"{arguments.original} holds {original.dtype}, which no file is made from")
    if original.shape != vectors.shape:
        raise BitstreamError(f"the file holds {vectors.shape} numbers, not {original.shape}")
    difference = original.astype(np.float64) - vectors
    worst = float(np.sqrt(np.square(difference).sum(axis=1)).max(initial=0.0))
    verdict = f"{found}; worst error {worst:.6g}, promised {bound:.6g}"
    if not worst <= bound:  # nor is it where the error is no number
        raise BitstreamError(f"the bound is not kept: {verdict}")
    return verdict
