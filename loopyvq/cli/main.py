"""The command line: find the command, run it, turn errors into one line.

torch takes seconds to import, so a command's module imports what it needs only when it runs.
"""

import argparse
import gc
import importlib
import io
import logging
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from loopyvq import __version__
from loopyvq.errors import LoopyVQError

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "compress": "turn images and arrays into small files, at any rate, within a bound",
    "decompress": "turn these files back into images and arrays",
    "verify": "decode files and check what they promise",
    "models": "list the models that come with the package",
    "info": "show what a model, a run or a file holds",
    "demo": "show what the model in the box does, beside JPEG and WebP; or train one",
    "train": "train a tokenizer, alone or against a discriminator, or a prior",
    "tables": "fit the entropy tables of a model, for smaller files",
    "encode": "turn images into token files",
    "decode": "turn token files back into images",
    "pretokenize": "turn images into shards of tokens, to train a prior on",
    "sample": "draw new images with a prior",
    "complete": "go on from a part of an image with a prior",
    "evaluate": "measure reconstructions and their cost",
    "evaluate rd": "measure rate and distortion of real files, beside JPEG and others",
    "evaluate generation": "compare drawn images with real ones",
    "evaluate prior": "measure bits of tokens under a prior",
    "convert": "convert models of taming-transformers and diffusers, both ways",
    "loopify": "give a model of one code per site a variable length",
    "weights": "prepare the weights that perceptual losses need",
}
"""Every command and its line of help; each is a module of this package, with _ for a space."""

_EXTRAS = {
    "lightning_fabric": "train",
    "tensorboard": "train",
    "torchmetrics": "eval",
    "matplotlib": "eval",
    "skimage": "samples",
}
# Importing torch makes some 200,000 objects that stay: looking through them for garbage, again and
# again, takes a tenth of the start of commands that are started for every file.
_COLLECT_AFTER = 100_000
_STARTED_OFTEN = ("compress", "decompress", "verify", "info", "encode", "decode")
# Threads of torch and of numpy's products spin while they wait. Where files are written and read
# that saves no time, costs half as much of the processor again, and beside other programs doubles
# the time.
_PATIENCE = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}
_CODING = (*_STARTED_OFTEN, "demo", "evaluate rd", "pretokenize", "tables")
_USAGE_ERROR = 2
_NO_READER = 141  # as a shell says of what SIGPIPE ends
_INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """A parser that complains in one line."""

    takes_options = False
    """Whether options that it does not know are those of a config, each with one value."""

    def parse_known_args(  # type: ignore[override]  # of the overloads one is called
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse what is known; values of a config's options are no arguments."""
        words = sys.argv[1:] if args is None else args
        return super().parse_known_args(self._joined(words), namespace)

    def _joined(self, words: Sequence[str]) -> list[str]:
        """Write each option that is not known in one word, ``--name=value``."""
        joined: list[str] = []
        for word in words:
            last = joined[-1] if joined and self.takes_options else ""
            named = last.startswith("--") and "=" not in last
            if named and last not in self._option_string_actions and not word.startswith("--"):
                joined[-1] = f"{last}={word}"
            else:
                joined.append(word)
        return joined

    def error(self, message: str) -> NoReturn:
        self.exit(_USAGE_ERROR, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def main(words: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        words: the command line without the program's name; by default the process's own.

    Returns:
        The exit code: 0, 2 for bad input, 130 after an interrupt, 141 where nobody reads what is
        printed any more.
    """
    is_process, words = words is None, list(sys.argv[1:] if words is None else words)
    if is_process and isinstance(sys.stdout, io.TextIOWrapper):  # names of files may be no text
        sys.stdout.reconfigure(errors="backslashreplace")
    if " ".join(words[:2]) in COMMANDS:
        words = [" ".join(words[:2]), *words[2:]]
    parser = _build_parser(words)
    arguments, rest = parser.parse_known_args(words)
    if is_process and arguments.command in _STARTED_OFTEN:
        gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])
    if is_process and arguments.command in _CODING:  # before anything imports torch or numpy
        for variable, value in _PATIENCE.items():
            os.environ.setdefault(variable, value)
    command = _module(arguments.command)
    if rest and not getattr(command, "TAKES_OPTIONS", False):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        command.run(arguments, rest)
    except LoopyVQError as error:
        return _complain(str(error))
    except ImportError as error:
        missing = (error.name or getattr(error.__cause__, "name", None) or "").partition(".")[0]
        if missing not in _EXTRAS:
            raise
        return _complain(f"this needs {missing}: pip install 'loopyvq[{_EXTRAS[missing]}]'")
    except KeyboardInterrupt:
        print("loopyvq: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as `head`, has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NO_READER
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"{where}{error.strerror or error}")
    return 0


def _build_parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Describe all commands; the one that is asked for brings its own arguments."""
    parser = _Parser(
        prog="loopyvq",
        description="Variable-length visual tokens: images to tokens and back.",
        epilog="Every command has its own --help with examples.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"loopyvq {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, line in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=line,
            description=line[0].upper() + line[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name in words:
            _module(name).add_arguments(sub)
            sub.takes_options = getattr(_module(name), "TAKES_OPTIONS", False)
    return parser


def _module(command: str) -> ModuleType:
    return importlib.import_module(f"loopyvq.cli.{command.replace(' ', '_')}")


def _complain(message: str) -> int:
    print(f"loopyvq: error: {' '.join(message.split())}", file=sys.stderr)
    return _USAGE_ERROR


if __name__ == "__main__":
    sys.exit(main())
