"""``loopyvq models``: the models that come with the package."""

import argparse
from collections.abc import Sequence

_EXAMPLES = """\
examples:
  loopyvq models                     what there is
  loopyvq models photo-f8            how it was made, what it can do, and its licence
  loopyvq compress photo.jpg         takes the first one
  loopyvq evaluate photo-f8 --data photos/

Wherever a command takes a model, it takes these names too.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    parser.add_argument("name", nargs="?", metavar="NAME", help="show the card of this model")


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """List the models, or show the card of one."""
    from loopyvq.errors import ConfigError
    from loopyvq.pretrained import PRETRAINED

    if arguments.name is None:
        for model in PRETRAINED.values():
            size_mb = model.weights.stat().st_size / 1e6
            print(f"{model.name}  {size_mb:.1f} MB  {model.summary}; trained on {model.data}")
        return
    if arguments.name not in PRETRAINED:
        raise ConfigError(f"there is no model {arguments.name}; there are {', '.join(PRETRAINED)}")
    print(PRETRAINED[arguments.name].card.read_text(encoding="utf-8"), end="")
