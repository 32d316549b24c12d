"""``loopyvq demo``: the whole way in a few minutes, with a page to look at."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from loopyvq.errors import ConfigError

_EXAMPLES = """\
examples:
  loopyvq demo
  loopyvq demo --seconds 30 --out runs/quick
  loopyvq demo --generate
  loopyvq demo --generate --data fashion-mnist/train-images-idx3-ubyte.gz --out runs/fashion
"""
_SECONDS, _GENERATE_SECONDS = 120.0, 270.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    parser.add_argument("--out", default="runs/demo", metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--seconds",
        type=float,
        metavar="S",
        help=f"how long to train (default: {_SECONDS:g}; with --generate {_GENERATE_SECONDS:g})",
    )
    parser.add_argument(
        "--generate", action="store_true", help="also train a prior, and draw new images with it"
    )
    parser.add_argument(
        "--data",
        metavar="IMAGES",
        help="with --generate: what to learn (default: crops of sample photographs)",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Run the demonstration and write its page."""
    if arguments.generate:
        _generate(arguments)
        return
    if arguments.data:
        raise ConfigError("--data is for --generate: the other demo has its own photographs")
    from loopyvq.demo.report import write_report
    from loopyvq.demo.run import run_demo
    from loopyvq.evaluation.tables import format_points

    seconds = _SECONDS if arguments.seconds is None else arguments.seconds
    result = run_demo(arguments.out, seconds=seconds, quiet=arguments.quiet)
    print("\nPhotographs it was not trained on, one checkpoint, five thresholds:\n")
    print(format_points(result.points))
    print("\nThe same checkpoint with the same number of turns at every site:\n")
    print(format_points(result.fixed_depth))
    page = Path(arguments.out) / "report.html"
    write_report(result, page)
    print(f"\nLook at {page}")


def _generate(arguments: argparse.Namespace) -> None:
    """Train a tokenizer and a prior, and show what they draw."""
    from loopyvq.demo.generation import run_generation
    from loopyvq.demo.generation_page import write_generation_page

    seconds = _GENERATE_SECONDS if arguments.seconds is None else arguments.seconds
    result = run_generation(
        arguments.out, arguments.data or "samples", seconds=seconds, quiet=arguments.quiet
    )
    page = Path(arguments.out) / "generation.html"
    write_generation_page(result, page)
    mean = result.tokens.num_tokens / len(result.samples)
    print(f"\n{len(result.samples)} samples of {mean:.1f} tokens each")
    print(f"Look at {page}")
