"""``loopyvq convert``: models of other programs in and out."""

import argparse
from collections.abc import Sequence

_EXAMPLES = """\
examples:
  loopyvq convert taming last.ckpt --config model.yaml --out models/vqgan
  loopyvq convert taming models/vqgan --reverse --out back
  loopyvq convert diffusers vqvae --out models/vqvae
  loopyvq convert diffusers models/vqvae --reverse --out back
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "program",
        choices=("taming", "diffusers"),
        help="taming: checkpoints of taming-transformers; diffusers: folders of its VQModel",
    )
    parser.add_argument(
        "source", metavar="SOURCE", help="what to convert; with --reverse a model of ours"
    )
    parser.add_argument("--config", metavar="YAML", help="the YAML file of the checkpoint (taming)")
    parser.add_argument("--out", required=True, metavar="DIR", help="the folder to write")
    parser.add_argument("--reverse", action="store_true", help="from ours to the other program")


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Convert a model."""
    from loopyvq.errors import ConfigError
    from loopyvq.interop.diffusers import from_diffusers, to_diffusers
    from loopyvq.interop.taming import from_taming, to_taming

    needs_config = arguments.program == "taming" and not arguments.reverse
    if needs_config and arguments.config is None:
        raise ConfigError("give the YAML file of the checkpoint with --config")
    if arguments.config is not None and not needs_config:
        raise ConfigError("--config belongs to checkpoints of taming: leave it out")
    if needs_config:
        done = from_taming(arguments.source, arguments.config, arguments.out)
    elif arguments.program == "taming":
        done = to_taming(arguments.source, arguments.out)
    elif arguments.reverse:
        done = to_diffusers(arguments.source, arguments.out)
    else:
        done = from_diffusers(arguments.source, arguments.out)
    for path in done.files:
        print(path)
    for line in done.dropped:
        print(f"dropped: {line}")
