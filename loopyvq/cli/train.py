"""``loopyvq train``: train the networks."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopyvq.errors import ConfigError

if TYPE_CHECKING:
    from loopyvq.training.run_config import RunConfig

TAKES_OPTIONS = True
_RESUME_WITH = ("--run.steps", "--run.time_limit_s", "--run.average_decay", "--run.accelerator")
KINDS = ("tokenizer", "vqgan", "segmentation", "prior")

_EXAMPLES = """\
examples:
  loopyvq train tokenizer --data photos/ --out runs/first
  loopyvq train tokenizer configs/small.yaml --data photos.zip --run.steps 2000
  loopyvq train tokenizer --resume runs/first
  loopyvq train tokenizer --resume runs/first --run.steps 15000
  loopyvq train vqgan configs/vqgan_small.yaml --data photos/ --out runs/gan
  loopyvq train segmentation configs/segmentation_facades.yaml --data cmp_facades_pairs.zip
  loopyvq train prior configs/prior_small.yaml --data shards/photos --out runs/prior
  loopyvq train prior configs/prior_small.yaml --data photos/ --tokenizer runs/first
  torchrun --nproc-per-node 2 -m loopyvq train tokenizer --data photos/ --run.devices 2

Every option of the config can be set by its dotted name, such as
  --tokenizer.quantizer.max_depth 12  --budget.kind depth  --optim.learning_rate 5e-4
`loopyvq train tokenizer --show-config` prints them all with their values; docs/training.md,
docs/gan_training.md, docs/prior_training.md and docs/data.md explain them.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    parser.add_argument("what", choices=KINDS, help="what to train")
    parser.add_argument(
        "config", nargs="?", metavar="CONFIG", help="YAML file of options (see configs/)"
    )
    parser.add_argument(
        "--data",
        metavar="PATH",
        help="image folder, zip or tar archive, folder in an archive (a.zip/train), idx file, text "
        "file of paths, one image, or the word 'samples' for the photographs that come with "
        "scikit-image; for a prior also shards of tokens",
    )
    parser.add_argument("--out", metavar="DIR", help="default: runs/ and what is trained")
    parser.add_argument(
        "--resume",
        metavar="DIR",
        help="continue the run in DIR with its own config and data, and perhaps more --run.steps",
    )
    parser.add_argument(
        "--tokenizer", metavar="MODEL", help="for a prior whose data are images, not shards"
    )
    parser.add_argument("--accelerator", choices=("auto", "cpu", "cuda"), help="where to train")
    parser.add_argument(
        "--precision",
        choices=("auto", "32-true", "bf16-mixed", "16-mixed"),
        help="number format; auto: bf16 where the hardware multiplies it",
    )
    parser.add_argument(
        "--strict", action="store_true", help="stop at the first broken image, do not skip it"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    parser.add_argument(
        "--tables",
        type=int,
        default=200,
        metavar="N",
        help="for a tokenizer: images to fit the entropy tables of `loopyvq compress` to at the "
        "end (default: %(default)s; 0: none)",
    )
    parser.add_argument(
        "--show-config", action="store_true", help="print the whole config as YAML and stop"
    )


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Train a tokenizer, alone or against a discriminator, or a prior of its tokens."""
    from loopyvq import training

    options = _with_config_found(arguments, options)
    kinds: dict[str, tuple[type[Any], Callable[..., Path]]] = {
        "tokenizer": (training.TokenizerTrainingConfig, training.train_tokenizer),
        "vqgan": (training.VqganTrainingConfig, training.train_vqgan),
        "segmentation": (training.SegmentationTrainingConfig, training.train_segmentation),
        "prior": (training.PriorTrainingConfig, training.train_prior),
    }
    _train(arguments, options, *kinds[arguments.what])


def _with_config_found(arguments: argparse.Namespace, options: Sequence[str]) -> Sequence[str]:
    """Take a config that stands behind an option, which argparse may leave among those."""
    for place, word in enumerate(options):
        if arguments.config is None and not word.startswith("--"):
            arguments.config = word
            return [*options[:place], *options[place + 1 :]]
    return options


def _train(
    arguments: argparse.Namespace,
    options: Sequence[str],
    kind: type[Any],
    train: Callable[..., Path],
) -> None:
    """Train what the class of its config says."""
    from loopyvq.config import parse_config, read_yaml

    if arguments.resume:
        folder = Path(arguments.resume)
        config, data = _resumed(arguments, options, kind)
    else:
        values = read_yaml(arguments.config) if arguments.config else {}
        words = [*_run_options(arguments), *options]
        config = parse_config(kind, values, words)
        data, folder = arguments.data, Path(arguments.out or f"runs/{arguments.what}")
    if arguments.show_config:
        print(_as_yaml(config), end="")
        return
    if data is None:
        raise ConfigError("give the training images with --data PATH, or --data samples")
    try:
        best = train(
            config,
            data,
            folder,
            resume=bool(arguments.resume),
            strict=arguments.strict,
            quiet=arguments.quiet,
        )
    except KeyboardInterrupt:
        if (folder / "state.safetensors").is_file():
            again = f"loopyvq train {arguments.what} --resume {folder}"
            print(f"state saved; go on with: {again}", file=sys.stderr)
        raise
    if arguments.what == "tokenizer" and arguments.tables > 0:
        _fit_tables(best, data, arguments, depth=config.content == "depth")
    print(f"best model: {best}")


def _fit_tables(model: Path, data: str, arguments: argparse.Namespace, *, depth: bool) -> None:
    """Make files small, once: files made with other tables could not be read any more."""
    import os

    from loopyvq.checkpoint import load_tokenizer
    from loopyvq.cli.tables import DEFAULT_EXAMPLES, fit_to_data
    from loopyvq.codec import load_tables

    if os.environ.get("RANK", "0") != "0" or load_tables(model) is not None:
        return
    wanted = {"model": model, "data": data, "limit": arguments.tables, "out": None}
    wanted |= {"examples": DEFAULT_EXAMPLES, "wide": False}
    wanted |= {"fixed_depth": None, "strict": arguments.strict, "depth": depth}
    fit_to_data(load_tokenizer(model), argparse.Namespace(**wanted))


def _resumed(
    arguments: argparse.Namespace, options: Sequence[str], kind: type[Any]
) -> tuple[Any, str]:
    """Read the config and data of a run; how long it goes on and how it is watched may change."""
    from loopyvq.config import config_to_dict, parse_config
    from loopyvq.training.run_folder import saved_config

    words = [*_run_options(arguments), *options]
    names = [word.partition("=")[0] for word in words if word.startswith("--")]
    others = arguments.config or arguments.data or arguments.out
    if others or any(name not in _RESUME_WITH for name in names):
        raise ConfigError(
            "--resume takes its config and data from the run: give no others but "
            f"{', '.join(_RESUME_WITH)}"
        )
    config, data = saved_config(arguments.resume, kind)
    if words:
        config = parse_config(kind, config_to_dict(config), words)
        _check_that_it_goes_on(Path(arguments.resume), config.run)
    return config, data


def _check_that_it_goes_on(folder: Path, run: "RunConfig") -> None:
    """Refuse to go on to a step or a time that is past."""
    from loopyvq.training.state import saved_progress

    done, elapsed_s = saved_progress(folder / "state.safetensors")
    if run.steps < done:
        raise ConfigError(
            f"--run.steps {run.steps} is less than the {done} steps that {folder} has done"
        )
    if 0 < run.time_limit_s < elapsed_s:
        raise ConfigError(
            f"the time_limit_s {run.time_limit_s:g} of {folder} is up after {elapsed_s:.0f} s: "
            f"give a longer --run.time_limit_s, or 0 for none"
        )


def _run_options(arguments: argparse.Namespace) -> list[str]:
    """Turn the shortcuts into options of the config."""
    words = []
    for name in ("accelerator", "precision"):
        value = getattr(arguments, name)
        if value is not None:
            words += [f"--run.{name}", value]
    if arguments.tokenizer is not None:
        words += ["--images.tokenizer", arguments.tokenizer]
    return words


def _as_yaml(config: object) -> str:
    import yaml

    from loopyvq.config import config_to_dict

    plain = yaml.safe_dump(_lists(config_to_dict(config)), sort_keys=False)
    return str(plain)


def _lists(value: object) -> object:
    """YAML has no tuples."""
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
