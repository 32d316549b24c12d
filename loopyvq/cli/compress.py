"""``loopyvq compress``: images and arrays to small files."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from loopyvq.cli.inputs import open_codec, read_array, read_codes
from loopyvq.cli.options import (
    add_codec_model,
    add_device,
    add_effort,
    add_strict,
    add_tune,
    open_device,
)
from loopyvq.cli.outputs import Outputs, add_jobs, in_jobs

if TYPE_CHECKING:
    from torch import Tensor

_EXAMPLES = """\
examples:
  loopyvq compress photo.jpg --model runs/first --threshold 0.25     every site within 0.25
  loopyvq compress photos/ --model runs/first --quality 60 --jobs 2
  loopyvq compress photo.jpg --model runs/first --max-bytes 8000
  loopyvq compress vectors.npy --max-error 0.1                       every row within 0.1

A threshold is a promise about latents, in units of their scale, and is kept at every site. The
other wishes are about pixels and bytes: they are searched for, decoded and measured, and sites may
then lie outside of the threshold unless --bound is given.
"""
_TARGETS = {
    "target_psnr": ("psnr_db", "DB", "at least this PSNR, in dB"),
    "target_ssim": ("ssim", "S", "at least this structural similarity"),
    "target_bpp": ("rate_bpp", "BPP", "at most this many bits per pixel, the whole file counted"),
    "max_bytes": ("num_bytes", "N", "at most this many bytes"),
    "max_pixel_error": ("pixel_error", "N", "no level of a pixel off by more than this"),
}


class Wish(NamedTuple):
    """What a file should be like.

    Attributes:
        model: path of the tokenizer.
        device: where to run it.
        threshold: or None.
        quality: or None.
        target: kind and value, or None.
        stop: rule, or None for the usual one.
        bound: whether to promise the threshold, or None for the usual.
        min_length: tokens that every site gets at least, or None for the usual.
        mode: how tokens are coded.
        tune: what errors are weighed for, or None for the usual.
        effort: how often the image is looked at, or None for the usual.
    """

    model: str
    device: str
    threshold: float | None
    quality: float | None
    target: tuple[str, float] | None
    stop: str | None
    bound: bool | None
    min_length: int | None
    mode: str
    tune: str | None
    effort: int | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="images, folders, archives, 'samples', or .npy files of vectors",
    )
    add_codec_model(parser)
    parser.add_argument("--out", default="compressed", metavar="DIR", help="default: %(default)s")
    wish = parser.add_mutually_exclusive_group()
    wish.add_argument(
        "--threshold",
        type=float,
        metavar="T",
        help="largest error of a site's latent, in units of their scale (default: the model's own)",
    )
    wish.add_argument("--quality", type=float, metavar="Q", help="1 (small) to 100 (faithful)")
    for name, (_, metavar, line) in _TARGETS.items():
        wish.add_argument(f"--{name.replace('_', '-')}", type=float, metavar=metavar, help=line)
    wish.add_argument(
        "--max-error", type=float, metavar="E", help="for arrays: largest error of a vector"
    )
    parser.add_argument(
        "--bound",
        action=argparse.BooleanOptionalAction,
        help="promise the threshold at every site (default: with --threshold only)",
    )
    parser.add_argument(
        "--stop",
        choices=("threshold", "rate_distortion", "in_context"),
        help="stop rule (default: threshold with --threshold, else the best that the model can)",
    )
    add_tune(parser)
    add_effort(parser)
    parser.add_argument(
        "--min-length",
        type=int,
        metavar="N",
        help="give every site at least N tokens (default: what makes good images)",
    )
    parser.add_argument(
        "--mode",
        metavar="MODE",
        help="how tokens are coded: context (default for images), adaptive (default for arrays), "
        "static, packed, padded, flat, dummy, run_length or depth_major",
    )
    parser.add_argument(
        "--codebook", metavar="FILE", help="for arrays: a .npy of codes, in place of learned ones"
    )
    parser.add_argument(
        "--by-reference", action="store_true", help="for arrays: do not store the codebook"
    )
    add_jobs(parser)
    add_device(parser)
    add_strict(parser)


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Compress images and arrays."""
    from loopyvq.errors import ConfigError, DataError

    if arguments.jobs < 1:
        raise ConfigError(f"--jobs must be at least 1, got {arguments.jobs}")
    outputs, written = Outputs(arguments.out), 0
    for source in arguments.inputs:
        compress = _compress_array if source.lower().endswith(".npy") else _images
        written += compress(source, arguments, outputs)
    if not written:
        raise DataError("no image could be read")


def _images(source: str, arguments: argparse.Namespace, outputs: Outputs) -> int:
    from tqdm import tqdm

    from loopyvq.data import open_image_set
    from loopyvq.errors import ConfigError
    from loopyvq.tensor_file import write_atomically

    if arguments.max_error is not None or arguments.codebook is not None:
        raise ConfigError("--max-error and --codebook are for arrays: give images a --threshold")
    if arguments.by_reference:
        raise ConfigError("--by-reference is for arrays: images never hold their model")
    wish = _wish(arguments)
    config = open_codec(wish.model, wish.device).tokenizer.config
    channels = config.image_channels
    images = open_image_set(source, channels=channels, strict=arguments.strict)
    items = ((key, image, wish) for key, image in images.images())
    bar = tqdm(total=len(images), unit="image", leave=False, disable=None)
    written = 0
    for (key, image, _), data in in_jobs(_compress_image, items, arguments.jobs):
        path = outputs.path(key, ".lvq")
        write_atomically(path, data)
        bar.update()
        bpp = 8 * len(data) / (image.shape[1] * image.shape[2])
        tqdm.write(f"{path}  {len(data)} bytes, {bpp:.3f} bit/pixel")
        rows, columns = (-(-side // config.downsampling) for side in image.shape[1:])
        _tell_of_limits(path, data, rows * columns)
        written += 1
    bar.close()
    if images.broken:
        print(f"{len(images.broken)} broken images of {source} were skipped")
    return written


def _wish(arguments: argparse.Namespace) -> Wish:
    given = vars(arguments)
    wanted = [(kind, given[name]) for name, (kind, *_) in _TARGETS.items()]
    targets = [(kind, value) for kind, value in wanted if value is not None]
    return Wish(
        arguments.model,
        str(open_device(arguments.device)),
        arguments.threshold,
        arguments.quality,
        targets[0] if targets else None,
        arguments.stop,
        arguments.bound,
        arguments.min_length,
        arguments.mode or "context",
        arguments.tune,
        arguments.effort,
    )


def _compress_image(item: "tuple[str, Tensor, Wish]") -> bytes:
    """Compress one image, in whatever process."""
    from loopyvq.codec import Target
    from loopyvq.errors import ConfigError

    key, image, wish = item
    if image.shape[0] == 3 and bool((image == image[:1]).all()):
        image = image[:1]  # a grey image in a file of colours
    try:
        return open_codec(wish.model, wish.device).compress(
            image,
            wish.threshold,
            quality=wish.quality,
            target=None if wish.target is None else Target(*wish.target),
            stop=wish.stop,
            bound=wish.bound,
            min_length=wish.min_length,
            mode=wish.mode,
            tune=wish.tune,
            effort=wish.effort,
        )
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from error


def _compress_array(source: str, arguments: argparse.Namespace, outputs: Outputs) -> int:
    from loopyvq.codec import compress_array
    from loopyvq.errors import ConfigError
    from loopyvq.tensor_file import write_atomically

    if arguments.max_error is None:
        raise ConfigError("arrays need the largest error of a vector: give it with --max-error")
    for name in ("bound", "stop", "tune", "effort", "min_length"):
        if getattr(arguments, name) is not None:
            raise ConfigError(f"--{name.replace('_', '-')} is for images, {source} is an array")
    vectors = read_array(source)
    data = compress_array(
        vectors,
        arguments.max_error,
        codebook=read_codes(arguments.codebook),
        store_codebook=not arguments.by_reference,
        mode=arguments.mode or "adaptive",
    )
    path = outputs.path(Path(source).name, ".lvq")
    write_atomically(path, data)
    share = len(data) / max(1, vectors.nbytes)
    print(f"{path}  {len(data)} bytes, {100 * share:.1f} % of {vectors.nbytes}")
    _tell_of_limits(path, data, len(vectors))
    return 1


def _tell_of_limits(path: Path, data: bytes, num_sites: int) -> None:
    """Say so where a reader with the usual limits will refuse a file."""
    from loopyvq.codec import ReadingLimits
    from loopyvq.coding import read_container
    from loopyvq.errors import BitstreamError

    try:
        ReadingLimits().check(read_container(data).header, num_sites)
    except BitstreamError as error:
        print(f"{path}: readers must be told that they may read it: {error}", file=sys.stderr)
