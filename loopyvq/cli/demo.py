"""``loopyvq demo``: the whole way in a few minutes, with a page to look at."""

import argparse
from collections.abc import Sequence
from pathlib import Path

_EXAMPLES = """\
examples:
  loopyvq demo
  loopyvq demo --seconds 30 --out runs/quick
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    parser.add_argument("--out", default="runs/demo", metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--seconds",
        type=float,
        default=120.0,
        metavar="S",
        help="how long to train (default: %(default)g)",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Run the demonstration and write its page."""
    from loopyvq.demo.report import write_report
    from loopyvq.demo.run import run_demo
    from loopyvq.evaluation.tables import format_points

    result = run_demo(arguments.out, seconds=arguments.seconds, quiet=arguments.quiet)
    print("\nPhotographs it was not trained on, one checkpoint, five thresholds:\n")
    print(format_points(result.points))
    print("\nThe same checkpoint with the same number of turns at every site:\n")
    print(format_points(result.fixed_depth))
    page = Path(arguments.out) / "report.html"
    write_report(result, page)
    print(f"\nLook at {page}")
