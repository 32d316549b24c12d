"""Measure the model in the box on real files and write docs/results.md.

    python benchmarks/results/run.py --test kodak.zip bsds500.zip [--against fixed=runs/fixed]

Curves against JPEG, WebP, AVIF, JPEG 2000, the same checkpoint with equal lengths and models of
fixed depth; the bound, checked by a fresh process; speed; a gallery. Curves and checked bounds are
kept in the output folder, image by image, under names that hold a digest of the model, the options
and the code that files depend on: an interrupted run goes on, and another model is measured anew
while the baselines are not. Speed and gallery are made each time.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from string import Template

from bounds import Checked, checked_files
from curves import baseline_points, fixed_readings, model_points, model_readings, thresholds_for
from gallery import draw_gallery
from setting import ROOT, counted, load, setting, spelled
from speed import RATE_BPP, command_s, timed_systems
from tables import (
    RANGE,
    bound_table,
    bytes_table,
    gallery_table,
    rates_table,
    sets_table,
    sizes_table,
    speed_table,
)

from loopyvq.checkpoint import tokenizer_file
from loopyvq.codec import Codec
from loopyvq.codec.importance import DEFAULT_TUNE, TUNES
from loopyvq.data import open_image_set
from loopyvq.evaluation.rd_baselines import BASELINES
from loopyvq.evaluation.rd_points import RdPoint, systems_of
from loopyvq.evaluation.rd_report import plot_curves
from loopyvq.evaluation.rd_systems import BIT_PRICES
from loopyvq.pretrained import DEFAULT_MODEL
from loopyvq.tensor_file import write_atomically

NAME = "loopyvq"
PAGE = Path(__file__).parent / "page.md"
_IMAGES_TO_TRY = 2


def main() -> None:
    options = _parse()
    pictures = options.docs / "images"
    pictures.mkdir(parents=True, exist_ok=True)
    codec = Codec.load(options.model)
    thresholds = {
        source: thresholds_for(codec, images_of(source, _IMAGES_TO_TRY), options.points)
        for source in options.test
    }
    points = {source: measured(options, some, source) for source, some in thresholds.items()}
    for source, some in points.items():
        (pictures / f"results_{Path(source).stem}.png").write_bytes(plot_curves(some))
    checked = {
        Path(source).stem: checked_files(options.model, source, options.limit, options.out)
        for source in options.test
    }
    shown = draw_gallery(codec, pictures / "results_gallery.webp")
    texts = {
        **setting(),
        **about_model(codec, options),
        **curve_texts(options, points),
        **bound_texts(checked),
        **speed_texts(codec, options, thresholds[options.test[0]]),
        "command": spelled(["python", "benchmarks/results/run.py", *sys.argv[1:]]),
        "gallery": gallery_table(shown),
    }
    page = Template(PAGE.read_text("utf-8")).substitute(texts)
    write_atomically(options.docs / "results.md", page.encode())
    print(options.docs / "results.md")


def images_of(source: str, count: int) -> list:
    """Read the first images of a set."""
    return [image for _, image in islice(open_image_set(source, channels=3).images(), count)]


def measured(
    options: argparse.Namespace, thresholds: Sequence[float], source: str
) -> list[RdPoint]:
    """Measure all systems on a set; ours comes first."""
    readings = model_readings(NAME, Path(options.model), thresholds, options.tunes)
    points = model_points(readings, source, options.limit, options.out)
    for name, path in options.against:
        fixed = fixed_readings(name, Path(path))
        points += model_points(fixed, source, options.limit, options.out)
    return points + baseline_points(tuple(BASELINES), source, options.limit, options.out)


def about_model(codec: Codec, options: argparse.Namespace) -> dict[str, str]:
    tokenizer = codec.tokenizer
    count = sum(parameter.numel() for parameter in tokenizer.parameters())
    return {
        "model": Path(options.model).name,
        "parameters": f"{count:,}",
        "model_bytes": f"{tokenizer_file(options.model).stat().st_size:,}",
        "factor": str(tokenizer.config.downsampling),
        "depth": str(tokenizer.quantizer.max_depth),
    }


def curve_texts(
    options: argparse.Namespace, points: Mapping[str, Sequence[RdPoint]]
) -> dict[str, str]:
    """Write everything about curves."""
    others = [tune for tune in options.tunes if tune != DEFAULT_TUNE]
    by_set = {Path(source).stem: some for source, some in points.items()}
    ours = [
        system
        for system in systems_of(next(iter(points.values())))
        if system == NAME or system.startswith(f"{NAME} --tune")
    ]
    counts = [
        f"{counted(len({point.image for point in some}), 'image')} of {name}"
        for name, some in by_set.items()
    ]
    fixed = "".join(
        f" `{name}` is a model trained for fixed depths, with 1, 2, ... tokens at every site; with "
        "*priced codes* they are chosen by what they cost in context, with a look, along several "
        "ways at every site, and for squared error, as `--stop in_context --tune psnr` does, or as "
        "`--tune ms_ssim`; a bit costs "
        f"{BIT_PRICES['psnr']:g} or {BIT_PRICES['ms_ssim']:g} of the mean squared error, and at "
        "the largest depth also less."
        for name, _ in options.against
    )
    return {
        "sets": ", ".join(counts),
        "tunes": f", `--tune {DEFAULT_TUNE}` where no other is named" if others else "",
        "fixed": fixed,
        "low": f"{RANGE[0]:g}",
        "high": f"{RANGE[1]:g}",
        "bytes": "\n\n".join(
            f"### {name}\n\n{bytes_table(some, ours)}\n\n"
            f"![Curves of all systems on {name}](images/results_{name}.png)"
            for name, some in by_set.items()
        ),
        "by_set": "\n\n".join(
            f"### {name}, one setting for all\n\n{sets_table(some, ours)}"
            for name, some in by_set.items()
        ),
        "rates": "\n\n".join(
            f"### {name}, at equal bytes\n\n{rates_table(some, NAME, 'psnr_db')}\n\n"
            f"{rates_table(some, NAME, 'ms_ssim')}"
            for name, some in by_set.items()
        ),
        "sized": ours[0],
        "files": "\n\n".join(
            f"### {name}, file by file\n\n{sizes_table(some, ours[0])}"
            for name, some in by_set.items()
        ),
    }


def speed_texts(
    codec: Codec, options: argparse.Namespace, thresholds: Sequence[float]
) -> dict[str, str]:
    """Measure times, on the first images of the first set."""
    print("measuring times", flush=True)
    busy, rounds, threads = load(), options.rounds, options.threads
    images = images_of(options.test[0], options.speed_images)
    timed = timed_systems(codec, images, thresholds, rounds, threads) if images else []
    images = images or images_of(options.test[0], 1)
    start_s, whole_s = command_s(options.model, images[0], rounds, threads)
    return {
        "load": busy,
        "num_timed": counted(options.speed_images, "image"),
        "rounds": counted(rounds, "round"),
        "threads": counted(threads, "thread"),
        "rate": f"{RATE_BPP:g}",
        "speed": speed_table(timed) if timed else "(Not measured in this run.)",
        "start": f"{start_s:.1f}",
        "whole": f"{whole_s:.1f}",
    }


def bound_texts(checked: Mapping[str, Sequence[Checked]]) -> dict[str, str]:
    files = [file for some in checked.values() for file in some]
    sites = sum(file.num_sites for file in files)
    within = sum(round(file.share_within * file.num_sites) for file in files)
    return {
        "bound": bound_table(checked),
        "within": f"{within:,}",
        "sites": f"{sites:,}",
        "num_files": f"{len(files):,}",
    }


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--test", required=True, nargs="+", help="sets of test images")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="default: %(default)s")
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        type=lambda word: tuple(word.split("=", 1)),
        metavar="NAME=MODEL",
        help="a model of fixed depth; may be repeated",
    )
    parser.add_argument("--tunes", nargs="+", choices=tuple(TUNES), default=sorted_tunes())
    parser.add_argument("--points", type=int, default=12, metavar="N", help="thresholds per curve")
    parser.add_argument(
        "--limit", type=int, metavar="N", help="only the first N images of each set"
    )
    parser.add_argument("--speed-images", type=int, default=3, metavar="N")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of timing")
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count(), metavar="N", help="for timing"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/results"), help="what is kept")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="default: docs")
    return parser.parse_args()


def sorted_tunes() -> list[str]:
    """Put the usual one first."""
    return sorted(TUNES, key=lambda tune: tune != DEFAULT_TUNE)


if __name__ == "__main__":
    main()
