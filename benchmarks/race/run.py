"""The race: variable length against the best fixed depth, at equal bytes of real files.

    python benchmarks/race/run.py --data caltech101.zip --test kodak.zip bsds500.zip \\
        --entry loop=configs/small.yaml --entry depth=configs/small_fixed_depth.yaml

Trains every entry with every seed (what is in the output folder is not repeated, what was
interrupted is resumed), fits its tables, writes files of all test images in every reading, decodes
them in a fresh process, and compares all curves with the best one of a fixed-depth entry between
.1 and .8 bit/pixel. Entries of fixed depth, as of variable length, are read plainly and with codes
chosen by what they cost in context. Other options are those of `loopyvq train tokenizer` and go to
all entries, such as --run.steps 3000.
"""

import argparse
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from entries import Entry, fitted, trained
from files import READINGS, curves_of
from report import Run, best_of, plot, sets_table, table
from torch import Tensor

from loopyvq.codec import Codec
from loopyvq.data import open_image_set
from loopyvq.evaluation.rd_points import (
    RdPoint,
    measure_point,
    points_from_csv,
    points_to_csv,
    systems_of,
)
from loopyvq.evaluation.rd_reader import FreshReader
from loopyvq.tensor_file import write_atomically

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
ENTRIES = {
    "loop": CONFIGS / "small.yaml",
    "fixed depth": CONFIGS / "small_fixed_depth.yaml",
}


def main() -> None:
    arguments, words = _parse()
    entries = [Entry(name, Path(file), tuple(words)) for name, file in arguments.entry]
    fixed = [entry.name for entry in entries if entry.parsed(0).tokenizer.quantizer.threshold == 0]
    if not fixed:
        raise SystemExit("the race needs an entry of fixed depth (threshold 0) to run against")
    models = {
        (entry.name, seed): trained(entry, seed, arguments.data, arguments.out)
        for seed in arguments.seeds
        for entry in entries
    }
    for folder in models.values():
        fitted(folder, arguments.data, arguments.table_images)
    for test in arguments.test:
        runs = []
        for seed in arguments.seeds:
            points: list[RdPoint] = []
            for entry in entries:
                folder = models[entry.name, seed]
                points += measured(entry.name, folder, test, arguments)
            runs.append(Run(seed, points))
        names = [
            name
            for name in systems_of(runs[0].points)
            if any(name == entry or name.startswith(f"{entry}, ") for entry in fixed)
        ]
        report(runs, best_of(runs, names), test, arguments.out)


def measured(name: str, folder: Path, test: str, arguments: argparse.Namespace) -> list[RdPoint]:
    """Measure all files of a model, except for images that were measured before."""
    kept, found = folder / f"{Path(test).stem}.csv", dict[str, list[RdPoint]]()
    for point in points_from_csv(kept.read_text("utf-8")) if kept.is_file() else []:
        found.setdefault(point.image, []).append(point)
    codec = Codec.load(folder)
    images = open_image_set(test, channels=codec.tokenizer.config.image_channels)
    some = dict(islice(images.images(), arguments.limit))
    with FreshReader() as reader:
        for image_name, image in some.items():
            if image_name not in found:
                files = curves_of(codec, name, folder, image, arguments.readings)
                found[image_name] = list(_points(files, folder, image_name, image, reader))
                everything = [point for points in found.values() for point in points]
                write_atomically(kept, points_to_csv(everything).encode())
    return [point for image_name in some for point in found[image_name]]


def _points(
    files: Iterable[tuple[str, str, bytes]],
    folder: Path,
    image_name: str,
    image: Tensor,
    reader: FreshReader,
) -> Iterator[RdPoint]:
    """Write, decode and measure all files of an image."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "image.lvq"
        for curve, setting, data in files:
            file.write_bytes(data)
            decoded = reader.read(folder, file)
            yield measure_point(curve, setting, image_name, len(data), decoded, image)


def report(runs: Sequence[Run], reference: str, test: str, out: Path) -> None:
    """Print the table and draw the curves."""
    stem = Path(test).stem
    title = f"{stem}: against {reference}, seeds {', '.join(str(run.seed) for run in runs)}"
    text = f"\n## {title}\n\n{table(runs, reference)}\n\n{sets_table(runs, reference)}\n"
    print(text, flush=True)
    write_atomically(out / f"{stem}.md", text.encode())
    plot(runs, out / f"{stem}.png")


def _parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="training images")
    parser.add_argument("--test", required=True, nargs="+", help="sets of test images")
    parser.add_argument(
        "--entry",
        action="append",
        type=lambda word: tuple(word.split("=", 1)),
        metavar="NAME=CONFIG",
        help="may be repeated (default: the small preset and its fixed-depth baseline)",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N test images")
    parser.add_argument(
        "--readings", nargs="+", choices=READINGS, default=READINGS, help="curves (default: all)"
    )
    parser.add_argument("--table-images", type=int, default=200, metavar="N")
    parser.add_argument("--out", type=Path, default=Path("runs/race"))
    arguments, words = parser.parse_known_args()
    arguments.entry = arguments.entry or list(ENTRIES.items())
    return arguments, words


if __name__ == "__main__":
    main()
