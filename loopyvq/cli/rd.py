"""``loopyvq evaluate rd``: rate and distortion of real files, beside the codecs everybody has."""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loopyvq.cli.inputs import open_codec
from loopyvq.cli.options import add_device, add_strict, open_device

if TYPE_CHECKING:
    from torch import Tensor

    from loopyvq.evaluation.rd_points import RdPoint

_EXAMPLES = """\
examples:
  loopyvq rd --data kodak.zip --model runs/first --out rd
  loopyvq rd --data kodak.zip --model loop --model depth=runs/fixed --baselines jpeg webp

Every file is written by one process and decoded by a fresh one. A model given as depth=PATH is
cut to its first 1, 2, ... tokens per site. Writes OUT.csv and OUT.png, and prints the comparison.
"""
_THRESHOLDS = (1.4, 1.0, 0.75, 0.5, 0.35, 0.25, 0.17, 0.11, 0.06)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    parser.add_argument("--data", required=True, metavar="PATH", help="images")
    parser.add_argument(
        "--model", action="append", default=[], metavar="MODEL", help="a tokenizer; may be repeated"
    )
    parser.add_argument(
        "--baselines",
        nargs="*",
        default=["jpeg", "webp", "avif", "jpeg2000"],
        metavar="NAME",
        help="default: all of jpeg webp avif jpeg2000",
    )
    parser.add_argument(
        "--thresholds", type=float, nargs="+", default=list(_THRESHOLDS), metavar="T"
    )
    parser.add_argument(
        "--stop", choices=("threshold", "rate_distortion"), default="rate_distortion"
    )
    parser.add_argument("--bound", action="store_true", help="promise the threshold at every site")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images")
    parser.add_argument("--out", default="rd", metavar="NAME", help="default: %(default)s")
    add_device(parser)
    add_strict(parser)


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Measure curves."""
    from itertools import islice

    from loopyvq.checkpoint import write_atomically
    from loopyvq.data import open_image_set
    from loopyvq.errors import ConfigError, DataError
    from loopyvq.evaluation.rd_baselines import BASELINES
    from loopyvq.evaluation.rd_points import points_to_csv
    from loopyvq.evaluation.rd_report import compare_systems, plot_curves

    unknown = set(arguments.baselines) - set(BASELINES)
    if unknown or not (arguments.model or arguments.baselines):
        raise ConfigError(f"--baselines must be of {', '.join(BASELINES)}, got {sorted(unknown)}")
    channels = 3
    if arguments.model:
        model = arguments.model[0].removeprefix("depth=")
        codec = open_codec(model, str(open_device(arguments.device)))
        channels = codec.tokenizer.config.image_channels
    source = open_image_set(arguments.data, channels=channels, strict=arguments.strict)
    images = dict(islice(source.images(), arguments.limit))
    if not images:
        raise DataError("there is no readable image to evaluate")
    points = [
        *(point for model in arguments.model for point in _model_points(model, images, arguments)),
        *_baseline_points(arguments.baselines, images),
    ]
    write_atomically(Path(f"{arguments.out}.csv"), points_to_csv(points).encode())
    plot_curves(points, f"{arguments.out}.png")
    for measure in ("psnr_db", "ms_ssim"):
        print(compare_systems(points, measure), end="\n\n")


def _model_points(
    model: str, images: "dict[str, Tensor]", arguments: argparse.Namespace
) -> "Iterator[RdPoint]":
    """Write all files of a model, decode them in a fresh process and measure."""
    from tqdm import tqdm

    from loopyvq.data import decode_image
    from loopyvq.evaluation.rd_points import measure_point

    path = model.removeprefix("depth=")
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "files"
        files.mkdir()
        made = list(_write_files(model, images, arguments, files))
        words = ["decompress", str(files), "--model", path, "--out", str(Path(folder) / "decoded")]
        command = [sys.executable, "-m", "loopyvq", *words, "--device", arguments.device]
        subprocess.run(command, check=True, capture_output=True)
        for name, setting, file in tqdm(made, unit="file", leave=False, disable=None):
            blob = (Path(folder) / "decoded" / f"{file.stem}.png").read_bytes()
            image = images[name]
            decoded = decode_image(blob, name, channels=int(image.shape[0]))
            yield measure_point(model, setting, name, file.stat().st_size, decoded, image)


def _write_files(
    model: str, images: "dict[str, Tensor]", arguments: argparse.Namespace, folder: Path
) -> Iterator[tuple[str, str, Path]]:
    from loopyvq.coding import read_container, write_container

    path = model.removeprefix("depth=")
    codec = open_codec(path, str(open_device(arguments.device)))
    for number, (name, image) in enumerate(images.items()):
        if path != model:
            data = codec.compress(image, 0.0, stop="threshold", bound=False)
            header, chunks = read_container(data)
            blobs = {
                f"{count} turns": write_container(header, chunks[:count])
                for count in range(1, len(chunks) + 1)
            }
        else:
            options = {"stop": arguments.stop, "bound": arguments.bound}
            blobs = {f"{t:g}": codec.compress(image, t, **options) for t in arguments.thresholds}
        for index, (setting, blob) in enumerate(blobs.items()):
            file = folder / f"{number:05}_{index:03}.lvq"
            file.write_bytes(blob)
            yield name, setting, file


def _baseline_points(names: Sequence[str], images: "dict[str, Tensor]") -> "Iterator[RdPoint]":
    from tqdm import tqdm

    from loopyvq.evaluation.rd_baselines import baseline_files
    from loopyvq.evaluation.rd_points import measure_point

    jobs = [(system, name) for system in names for name in images]
    for system, name in tqdm(jobs, unit="image", leave=False, disable=None):
        for setting, num_bytes, decoded in baseline_files(system, images[name]):
            yield measure_point(system, setting, name, num_bytes, decoded, images[name])
