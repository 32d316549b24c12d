"""``loopyvq loopify``: from one code per site to a variable length."""

import argparse
from collections.abc import Sequence

from loopyvq.cli.options import add_device

_EXAMPLES = """\
examples:
  loopyvq loopify models/vqgan --data photos/ --out models/loopy
  loopyvq loopify models/vqgan --data photos/ --test kodak.zip --out models/loopy
  loopyvq loopify models/vqgan --data photos/ --out models/loopy --finetune-steps 2000
  loopyvq encode models/loopy photo.jpg --threshold 0.2 --out tokens/

MODEL is what `loopyvq train` or `loopyvq convert` wrote. Networks, codebook and scale stay: the
first code of every site is the old one. Prints a table of one token per site before and of mean
lengths 1, 1.5, 2, 3 and 4 after; it is in OUT/loopify.json too. docs/loopify.md has measurements.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a model with one nearest code per site: converted, or trained here",
    )
    parser.add_argument(
        "--data", required=True, metavar="PATH", help="images to fit to, as for `loopyvq train`"
    )
    parser.add_argument(
        "--test", metavar="PATH", help="images to measure (default: some held out of --data)"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="the folder to write")
    parser.add_argument(
        "--max-depth",
        type=int,
        default=8,
        metavar="N",
        help="most tokens per site, 2 to 255 (default: 8)",
    )
    parser.add_argument(
        "--fit-images", type=int, default=200, metavar="N", help="images to fit to (default: 200)"
    )
    parser.add_argument(
        "--test-images", type=int, default=24, metavar="N", help="images to measure (default: 24)"
    )
    parser.add_argument(
        "--finetune-steps",
        type=int,
        default=0,
        metavar="N",
        help="train the decoder alone for N steps at mean lengths 1 to 4 (default: 0)",
    )
    parser.add_argument(
        "--batch-size", type=int, default=16, metavar="N", help="crops per step (default: 16)"
    )
    parser.add_argument(
        "--crop", type=int, default=128, metavar="N", help="side of the crops (default: 128)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    add_device(parser)


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Loopify a model."""
    from loopyvq.cli.options import open_device
    from loopyvq.loopify import LoopifyConfig, loopify_model
    from loopyvq.loopify.table import format_table

    config = LoopifyConfig(
        max_depth=arguments.max_depth,
        fit_images=arguments.fit_images,
        test_images=arguments.test_images,
        finetune_steps=arguments.finetune_steps,
        batch_size=arguments.batch_size,
        crop=arguments.crop,
        seed=arguments.seed,
    )
    found = loopify_model(
        arguments.model,
        arguments.data,
        arguments.out,
        config,
        test=arguments.test,
        device=open_device(arguments.device),
        quiet=False,
    )
    print(format_table(found.rows))
    print(f"\n{found.equal_codes} of {found.codes} sites begin with the old code")
    print("gains: " + " ".join(f"{gain:.3f}" for gain in found.gains))
    print(found.model)
