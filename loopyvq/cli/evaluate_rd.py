"""``loopyvq evaluate rd``: rate and distortion of real files, beside the codecs everybody has."""

import argparse
import math
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from loopyvq.cli.options import add_device, add_effort, add_strict, add_tune, open_device

if TYPE_CHECKING:
    from torch import Tensor

    from loopyvq.evaluation.rd_points import RdPoint
    from loopyvq.evaluation.rd_systems import Reading

_EXAMPLES = """\
examples:
  loopyvq evaluate rd --data kodak.zip --model runs/first --out rd
  loopyvq evaluate rd --data kodak.zip --model loop=runs/first --fixed-depth cut=runs/first \\
      --fixed-depth RVQ=runs/fixed --baselines jpeg webp
  loopyvq evaluate rd --points rd.csv --out again

Every file is written by one process and decoded by a fresh one. Fit the tables of all models first
(loopyvq tables, with --fixed-depth for what is read so). Writes OUT.csv, OUT.png and OUT.html, and
prints the comparison with the first system, or with another (--against). A run that ends early
leaves OUT.unfinished.csv.
"""

_OF_LENGTHS = ("thresholds", "stop", "tune", "effort", "bound")
_MEASURING = (
    "asked",
    "baselines",
    "thresholds",
    "stop",
    "tune",
    "effort",
    "bound",
    "lpips",
    "limit",
)


class _Asked(NamedTuple):
    name: str
    path: str
    fixed_depth: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", metavar="PATH", help="images")
    source.add_argument("--points", metavar="CSV", help="only report on points of an earlier run")
    parser.add_argument(
        "--model",
        action="append",
        dest="asked",
        default=[],
        type=_asked(fixed_depth=False),
        metavar="[NAME=]MODEL",
        help="a tokenizer, read at all thresholds; may be repeated",
    )
    parser.add_argument(
        "--fixed-depth",
        action="append",
        dest="asked",
        type=_asked(fixed_depth=True),
        metavar="[NAME=]MODEL",
        help="a tokenizer, cut to the first 1, 2, ... tokens of every site; may be repeated",
    )
    parser.add_argument(
        "--baselines",
        nargs="*",
        metavar="NAME",
        help="default: all of jpeg webp avif jpeg2000",
    )
    parser.add_argument("--thresholds", type=float, nargs="+", metavar="T", help="default: ten")
    parser.add_argument(
        "--stop",
        nargs="+",
        choices=("threshold", "rate_distortion", "in_context"),
        help="stop rules, a curve for each (default: rate_distortion)",
    )
    add_tune(parser)
    add_effort(parser)
    parser.add_argument("--bound", action="store_true", help="promise the threshold at every site")
    parser.add_argument("--lpips", metavar="PATH", help="weights of LPIPS, to measure it as well")
    parser.add_argument(
        "--most-bpp",
        type=float,
        default=0.5,
        metavar="R",
        help="average gains up to this rate (default: %(default)s)",
    )
    parser.add_argument(
        "--against", metavar="NAME", help="what all are compared with (default: the first)"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images")
    parser.add_argument("--out", default="rd", metavar="NAME", help="default: %(default)s")
    add_device(parser)
    add_strict(parser)


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Measure curves and report on them."""
    from loopyvq.errors import ConfigError, DataError
    from loopyvq.evaluation.rd_page import render_page
    from loopyvq.evaluation.rd_points import measures_in, points_from_csv
    from loopyvq.evaluation.rd_report import cells_of, compare_systems, plot_curves
    from loopyvq.tensor_file import write_atomically

    if not 0 < arguments.most_bpp < math.inf:
        raise ConfigError(f"--most-bpp must be above 0, got {arguments.most_bpp:g}")
    if arguments.points is not None:
        for name, value in vars(arguments).items():
            if name in _MEASURING and value not in (None, [], False):
                option = "model" if name == "asked" else name
                raise ConfigError(f"--points measures nothing: leave out --{option}")
        points = points_from_csv(_read(arguments.points))
    else:
        points = _measured(arguments)
    if not points:
        raise DataError("there is no readable image to evaluate")
    if not measures_in(points):
        raise DataError("all files are exact or too small to measure: there is nothing to compare")
    write_atomically(Path(f"{arguments.out}.png"), plot_curves(points))
    source, most_bpp = Path(arguments.points or arguments.data).name, arguments.most_bpp
    against = arguments.against
    page = render_page(points, source, _command(arguments), most_bpp, against)
    write_atomically(Path(f"{arguments.out}.html"), page.encode())
    for measure in measures_in(points):
        rows = compare_systems(points, measure, most_bpp, against)
        print(_markdown(cells_of(rows, measure)), end="\n\n")


def _measured(arguments: argparse.Namespace) -> "list[RdPoint]":
    """Measure, and write the table; where that ends early, what there is goes aside."""
    from loopyvq.evaluation.rd_points import points_to_csv
    from loopyvq.tensor_file import write_atomically

    points: list[RdPoint] = []
    try:
        for point in _measure(arguments):
            points.append(point)
    except BaseException:
        if points:
            aside = Path(f"{arguments.out}.unfinished.csv")
            write_atomically(aside, points_to_csv(points).encode())
            print(f"what was measured is in {aside}", file=sys.stderr)
        raise
    if points:
        write_atomically(Path(f"{arguments.out}.csv"), points_to_csv(points).encode())
    return points


def _measure(arguments: argparse.Namespace) -> "Iterator[RdPoint]":
    from tqdm import tqdm

    from loopyvq.data import open_image_set
    from loopyvq.errors import ConfigError
    from loopyvq.evaluation.rd_baselines import BASELINES
    from loopyvq.evaluation.rd_run import measure_systems

    baselines = list(BASELINES) if arguments.baselines is None else arguments.baselines
    unknown = set(baselines) - set(BASELINES)
    if unknown or not (arguments.asked or baselines):
        raise ConfigError(f"--baselines must be of {', '.join(BASELINES)}, got {sorted(unknown)}")
    if arguments.limit is not None and arguments.limit < 1:
        raise ConfigError(f"--limit must be at least 1, got {arguments.limit}")
    device = str(open_device(arguments.device))
    readings, channels = _readings(arguments)
    names = [*(reading.name for reading in readings), *baselines]
    if len(set(names)) < len(names):
        raise ConfigError(f"all must have names of their own, got {', '.join(names)}")
    if arguments.against not in (None, *names):
        raise ConfigError(f"there is no system {arguments.against!r}, but {', '.join(names)}")
    images = open_image_set(arguments.data, channels=channels, strict=arguments.strict)
    count = min(len(images), arguments.limit or len(images))
    key, times = Counter(images.key(index) for index in range(count)).most_common(1)[0]
    if times > 1:  # their files would be taken for those of one image
        raise ConfigError(f"{times} images of {arguments.data} have the name {key}: rename them")
    some = tqdm(
        islice(images.images(), count), total=count, unit="image", leave=False, disable=None
    )
    lpips = None if arguments.lpips is None else _open_lpips(arguments.lpips, device)
    yield from measure_systems(iter(some), readings, baselines, device=device, lpips=lpips)
    if images.broken:
        print(f"{len(images.broken)} broken images were skipped", file=sys.stderr)


def _readings(arguments: argparse.Namespace) -> "tuple[list[Reading], int]":
    """Give the curves to measure, and how many channels the models take."""
    from loopyvq.checkpoint import load_tokenizer
    from loopyvq.codec.importance import DEFAULT_TUNE
    from loopyvq.codec.looking import USUAL_EFFORT
    from loopyvq.errors import ConfigError
    from loopyvq.evaluation.rd_systems import THRESHOLDS, Reading

    thresholds, readings, channels = tuple(arguments.thresholds or THRESHOLDS), [], set()
    stops = arguments.stop or ["rate_distortion"]
    tune = arguments.tune or DEFAULT_TUNE
    effort = USUAL_EFFORT if arguments.effort is None else arguments.effort
    for name in ("tune", "effort"):
        if getattr(arguments, name) is not None and "in_context" not in stops:
            raise ConfigError(f"--{name} is for --stop in_context, which alone weighs errors")
    if arguments.effort is not None and (arguments.effort < 0 or arguments.bound):
        raise ConfigError(f"--effort must be 0 or more, without --bound, got {arguments.effort}")
    for name, path, fixed_depth in arguments.asked:
        config = load_tokenizer(path).config
        channels.add(config.image_channels)
        if fixed_depth or config.quantizer.threshold == 0:
            readings.append(Reading(name, Path(path), fixed_depth=True))
            continue
        for stop in stops:
            label = name if len(stops) == 1 else f"{name}, {stop} stop"
            readings.append(
                Reading(
                    label,
                    Path(path),
                    False,
                    thresholds,
                    stop,
                    arguments.bound,
                    tune,
                    effort=effort,
                )
            )
    told = [name for name in _OF_LENGTHS if getattr(arguments, name) not in (None, False)]
    if told and all(reading.fixed_depth for reading in readings):
        raise ConfigError(f"--{told[0]} is for models of variable length: give one with --model")
    if len(channels) > 1:
        raise ConfigError("all models must take the same channels, grey or colour")
    return readings, channels.pop() if channels else 3


def _open_lpips(path: str, device: str) -> "Callable[[Tensor, Tensor], float]":
    import torch

    from loopyvq.data import to_float
    from loopyvq.training.perceptual_weights import load_lpips

    distance = load_lpips(path).to(device)

    @torch.no_grad()
    def measure(image: "Tensor", reference: "Tensor") -> float:
        pair = (to_float(pixels.to(device)).unsqueeze(0) for pixels in (image, reference))
        return float(distance(*pair))

    return measure


def _asked(fixed_depth: bool) -> Callable[[str], _Asked]:
    def parse(word: str) -> _Asked:
        name, equals, path = word.partition("=")
        return _Asked(name, path, fixed_depth) if equals else _Asked(word, word, fixed_depth)

    return parse


def _command(arguments: argparse.Namespace) -> str:
    words = ["loopyvq evaluate rd"]
    if arguments.points is not None:
        return shlex.join(["loopyvq", "evaluate", "rd", "--points", Path(arguments.points).name])
    words.append(f"--data {shlex.quote(Path(arguments.data).name)}")
    for name, path, fixed_depth in arguments.asked:
        option = "--fixed-depth" if fixed_depth else "--model"
        words.append(f"{option} {shlex.quote(f'{name}={Path(path).name}')}")
    words.append(f"--stop {' '.join(arguments.stop or ['rate_distortion'])}")
    if arguments.tune:
        words.append(f"--tune {arguments.tune}")
    if arguments.effort is not None:
        words.append(f"--effort {arguments.effort}")
    if arguments.baselines is not None:
        words.append(f"--baselines {' '.join(arguments.baselines)}")
    if arguments.thresholds:
        words.append(f"--thresholds {' '.join(f'{value:g}' for value in arguments.thresholds)}")
    return " \\\n    ".join(words)


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    written = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([written[0], "|---|" + "---:|" * (len(lines[0]) - 1), *written[1:]])


def _read(path: str) -> str:
    from loopyvq.errors import DataError

    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}") from error
