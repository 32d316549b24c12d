"""Options that several commands share, and how their values are read."""

import argparse
from typing import TYPE_CHECKING

from loopyvq.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from loopyvq.models import Tokenizer
from loopyvq.pretrained import DEFAULT_MODEL

__all__ = [
    "add_codec_model",
    "add_device",
    "add_effort",
    "add_model",
    "add_stop",
    "add_strict",
    "add_tune",
    "load_model",
    "open_device",
]


def add_model(parser: argparse.ArgumentParser) -> None:
    """Let a command take a model."""
    parser.add_argument(
        "model", metavar="MODEL", help="a model file, or the folder of a training run"
    )


def add_codec_model(parser: argparse.ArgumentParser) -> None:
    """Let a command on compressed files take a model, by default the one that comes along."""
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="MODEL",
        help="the tokenizer of images: a file, a run, or a name (default: %(default)s, which comes "
        "with loopyvq; see loopyvq models)",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Let a command choose where to compute."""
    parser.add_argument(
        "--device",
        default="auto",
        metavar="NAME",
        help="cpu, cuda, cuda:1, ... (default: cuda where there is one)",
    )


def add_strict(parser: argparse.ArgumentParser) -> None:
    """Let a command refuse broken images."""
    parser.add_argument(
        "--strict", action="store_true", help="stop at the first broken image, do not skip it"
    )


def add_stop(parser: argparse.ArgumentParser) -> None:
    """Let a command choose when sites have enough tokens."""
    parser.add_argument(
        "--stop",
        choices=("threshold", "rate_distortion"),
        help="threshold: every site within the threshold if it can be; rate_distortion: stop where "
        "further tokens help too little (default: the model's own)",
    )
    parser.add_argument(
        "--min-length", type=int, metavar="N", help="give every site at least N tokens"
    )


def add_tune(parser: argparse.ArgumentParser) -> None:
    """Let a command choose what errors are weighed for."""
    parser.add_argument(
        "--tune",
        choices=("psnr", "balanced", "ms_ssim"),
        help="how much errors in busy places weigh with --stop in_context: psnr: as anywhere; "
        "ms_ssim: less, as the eye sees less of them; balanced: in between (default: balanced)",
    )


def add_effort(parser: argparse.ArgumentParser) -> None:
    """Let a command choose how much time good tokens are worth."""
    parser.add_argument(
        "--effort",
        type=int,
        metavar="N",
        help="with --stop in_context and no bound: look N times at the image as a reader will see "
        "it, and choose its tokens anew, at last along several ways at every site: more time and "
        "fewer bytes (default: 1)",
    )


def load_model(arguments: argparse.Namespace, label_maps: bool = False) -> "Tokenizer":
    """Load the model that a command was given.

    Args:
        arguments: with ``model``, ``device`` and perhaps ``stop`` and ``min_length``.
        label_maps: whether a tokenizer of label maps will do.

    Returns:
        The tokenizer, in evaluation mode.

    Raises:
        CheckpointError: the model cannot be read.
        ConfigError: there is no such device, the model takes no images, or it has no such stop
            rule.
    """
    from loopyvq.checkpoint import load_tokenizer

    tokenizer = load_tokenizer(arguments.model, open_device(arguments.device))
    channels = tokenizer.config.image_channels
    takes_images = channels in (1, 3) and not tokenizer.config.label_maps
    if not takes_images and not (label_maps and tokenizer.config.label_maps):
        raise ConfigError(
            f"{arguments.model} takes label maps or others of {channels} channels, not images: "
            f"use it from Python"
        )
    is_pull = tokenizer.config.quantizer.transform == "pull"
    stop = getattr(arguments, "stop", None)
    if stop is not None:
        if is_pull and stop != "threshold":
            raise ConfigError("--stop rate_distortion does not apply to a pull")
        tokenizer.quantizer.stop = stop
    least = getattr(arguments, "min_length", None)
    if least is not None:
        most = 1 if is_pull else tokenizer.quantizer.max_depth
        if not 0 <= least <= most:
            raise ConfigError(f"--min-length must be within 0..{most} for this model, got {least}")
        tokenizer.quantizer.min_length = least
    return tokenizer


def open_device(name: str) -> "torch.device":
    """Find a device by its name.

    Args:
        name: as torch calls it, or ``auto``.

    Returns:
        The device.

    Raises:
        ConfigError: there is no such device.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type == "meta":
            raise RuntimeError("it holds no numbers")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:
        raise ConfigError(f"there is no device {name!r} here: use cpu") from error
    return device
