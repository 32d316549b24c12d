"""``loopyvq decode``: token files to images."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from loopyvq.cli.inputs import input_files
from loopyvq.cli.options import add_device, add_model, load_model
from loopyvq.cli.outputs import Outputs, add_overwrite, spare_original, write_image

_EXAMPLES = """\
examples:
  loopyvq decode runs/first tokens/ --out images/
  loopyvq decode runs/first tokens/photo.jpg.tokens --turns 2
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    add_model(parser)
    parser.add_argument(
        "files", nargs="+", metavar="TOKENS", help="token files, or folders of them"
    )
    parser.add_argument("--out", default="decoded", metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--turns", type=int, metavar="N", help="use only the first N tokens of every site"
    )
    add_overwrite(parser)
    add_device(parser)


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Decode token files to PNG images."""
    from loopyvq.checkpoint import model_identity
    from loopyvq.data import to_uint8
    from loopyvq.errors import BitstreamError, ConfigError
    from loopyvq.token_file import read_token_file
    from loopyvq.tokens import Tokens

    if arguments.turns is not None and arguments.turns < 0:
        raise ConfigError(f"--turns must be 0 or more, got {arguments.turns}")
    tokenizer = load_model(arguments)
    identity = model_identity(tokenizer)
    for path, target in _pairs(arguments.files, arguments.out):
        file = read_token_file(path)
        if file.model != identity:
            raise BitstreamError(
                f"{path} was made by model {file.model}, not by this one ({identity})"
            )
        tokens = file.tokens
        if arguments.turns is not None:
            tokens = tokens.prefix(arguments.turns)
        device = tokenizer.quantizer.sigma.device
        batch = Tokens(tokens.codes.unsqueeze(0), tokens.lengths.unsqueeze(0)).to(device)
        try:
            image = tokenizer.decode(batch, file.threshold, (file.height, file.width))
        except ValueError as error:
            raise BitstreamError(f"{path} holds no valid tokens: {error}") from error
        spare_original(target, path, arguments.overwrite)
        write_image(target, to_uint8(image[0].cpu()))
        print(target)


def _pairs(names: Sequence[str], out: str) -> list[tuple[Path, Path]]:
    """List token files with the images they become; folders keep their structure."""
    pairs, outputs = [], Outputs(out)
    for file, name in input_files(names, ".tokens"):
        image = Path(name).with_suffix("")
        # a.jpg becomes a.jpg.png: it may have a neighbour a.png.
        pairs.append(
            (file, outputs.path(image.as_posix(), "" if image.suffix == ".png" else ".png"))
        )
    return pairs
