"""``loopyvq demo``: a page to look at, in less than a minute; or a training, in a few."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loopyvq.errors import ConfigError

if TYPE_CHECKING:
    from loopyvq.demo.compression_result import CompressionDemo

_EXAMPLES = """\
examples:
  loopyvq demo                                          the model in the box, beside JPEG and WebP
  loopyvq demo --train                                  train one for two minutes
  loopyvq demo --train --seconds 30 --out runs/quick
  loopyvq demo --generate                               train a prior as well, and draw images
  loopyvq demo --generate --data fashion-mnist/train-images-idx3-ubyte.gz --out runs/fashion
"""
_OUT, _TRAIN_OUT = "runs/demo", "runs/demo-train"
_SECONDS, _GENERATE_SECONDS = 120.0, 270.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    parser.add_argument("--out", metavar="DIR", help=f"default: {_OUT}; with --train {_TRAIN_OUT}")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--train", action="store_true", help="train a small model, and show what it does"
    )
    kind.add_argument(
        "--generate", action="store_true", help="also train a prior, and draw new images with it"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        metavar="S",
        help=f"how long to train (with --train, default {_SECONDS:g}; with --generate, default "
        f"{_GENERATE_SECONDS:g})",
    )
    parser.add_argument(
        "--data",
        metavar="IMAGES",
        help="with --generate: what to learn (default: crops of sample photographs)",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Run the demonstration and write its page."""
    if arguments.data and not arguments.generate:
        raise ConfigError("--data is for --generate: the other demos have their own photographs")
    if arguments.generate:
        _generate(arguments)
    elif arguments.train:
        _train(arguments)
    elif arguments.seconds is not None:
        raise ConfigError("--seconds is how long to train: give it with --train or --generate")
    else:
        _compress(arguments)


def _compress(arguments: argparse.Namespace) -> None:
    """Compress photographs with the model in the box, and show them beside JPEG and WebP."""
    from loopyvq.demo.compression import run_compression
    from loopyvq.demo.compression_page import write_compression_page

    folder = Path(arguments.out or _OUT)
    demo = run_compression(folder, quiet=arguments.quiet)
    print(f"Means over {len(demo.photos)} photographs, files of at most as many bytes beside ours:")
    for line in _lines(demo):
        print(line)
    write_compression_page(demo, folder / "report.html")
    print(f"\nLook at {folder / 'report.html'}")


def _lines(demo: "CompressionDemo") -> list[str]:
    """Tell the means of each threshold."""
    from loopyvq.demo.compression_result import OTHERS, means_at

    lines = []
    for place, threshold in enumerate(demo.thresholds):
        ours, *others = means_at(demo.photos, place)
        line = f"  threshold {threshold:<5.3g} {ours.num_bytes:6.0f} bytes, {ours.rate_bpp:.3f} "
        line += f"bits/pixel: {ours.psnr_db:.2f} dB"
        for name, mean in zip(OTHERS.values(), others, strict=True):
            larger = mean.larger_than(ours)
            line += f", {name} {mean.psnr_db:.2f} dB" + (f" ({larger})" if larger else "")
        lines.append(line)
    return lines


def _train(arguments: argparse.Namespace) -> None:
    """Train a tokenizer, and show where its tokens go."""
    from loopyvq.demo.report import write_report
    from loopyvq.demo.run import run_demo
    from loopyvq.evaluation.tables import format_points

    folder = Path(arguments.out or _TRAIN_OUT)
    seconds = _SECONDS if arguments.seconds is None else arguments.seconds
    result = run_demo(folder, seconds=seconds, quiet=arguments.quiet)
    print("\nPhotographs it was not trained on, one checkpoint, five thresholds:\n")
    print(format_points(result.points))
    print("\nThe same checkpoint with the same number of turns at every site:\n")
    print(format_points(result.fixed_depth))
    write_report(result, folder / "report.html")
    print(f"\nLook at {folder / 'report.html'}")


def _generate(arguments: argparse.Namespace) -> None:
    """Train a tokenizer and a prior, and show what they draw."""
    from loopyvq.demo.generation import run_generation
    from loopyvq.demo.generation_page import write_generation_page

    folder = Path(arguments.out or _OUT)
    seconds = _GENERATE_SECONDS if arguments.seconds is None else arguments.seconds
    result = run_generation(
        folder, arguments.data or "samples", seconds=seconds, quiet=arguments.quiet
    )
    page = folder / "generation.html"
    write_generation_page(result, page)
    mean = result.tokens.num_tokens / len(result.samples)
    print(f"\n{len(result.samples)} samples of {mean:.1f} tokens each")
    print(f"Look at {page}")
