"""What commands that draw images share: their options and the progress bar."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from loopyvq.cli.options import add_device, open_device
from loopyvq.errors import ConfigError, LoopyVQError

if TYPE_CHECKING:
    from loopyvq.generation import Film, ImagePrior, Windows
    from loopyvq.models.prior.base import Request
    from loopyvq.models.prior.sampling import SamplingConfig
    from loopyvq.tokens import Tokens

__all__ = [
    "add_drawing",
    "draw_all",
    "open_model",
    "size_of",
    "told_in_one_line",
    "wished_sampling",
    "wished_windows",
]


def add_drawing(parser: argparse.ArgumentParser) -> None:
    """Let a command draw images with a prior."""
    parser.add_argument("prior", metavar="PRIOR", help="a prior, or the folder of its training run")
    parser.add_argument(
        "--tokenizer", metavar="MODEL", help="its tokenizer (default: where it was at training)"
    )
    parser.add_argument("--seed", type=int, default=0, help="decides the images (default: 0)")
    parser.add_argument(
        "--batch", type=int, default=16, metavar="N", help="images drawn at once (default: 16)"
    )
    choice = parser.add_argument_group("choosing tokens")
    choice.add_argument(
        "--temperature", type=float, default=1.0, metavar="T", help="below 1: safer; 0: likeliest"
    )
    choice.add_argument(
        "--stop-temperature", type=float, metavar="T", help="the same for where a site stops"
    )
    choice.add_argument(
        "--turn-temperatures", type=float, nargs="+", default=[], metavar="T", help="one per turn"
    )
    choice.add_argument("--top-k", type=int, default=0, metavar="K", help="keep the K likeliest")
    choice.add_argument(
        "--top-p", type=float, default=1.0, metavar="P", help="keep what makes up this probability"
    )
    choice.add_argument(
        "--min-p", type=float, default=0.0, metavar="P", help="keep what is P times the likeliest"
    )
    choice.add_argument(
        "--guidance", type=float, default=1.0, metavar="S", help="above 1: exaggerate the condition"
    )
    choice.add_argument(
        "--tokens", type=int, metavar="N", help="about this many tokens for every image"
    )
    windows = parser.add_argument_group("images larger than those of the training")
    windows.add_argument(
        "--window", metavar="HxW", help="sites that the prior sees (default: as at training)"
    )
    windows.add_argument(
        "--stride", type=int, metavar="N", help="sites between windows (default: half a window)"
    )
    add_device(parser)


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Report what the library refuses as what was asked for wrongly.

    Raises:
        ConfigError: something that was asked for does not fit.
    """
    try:
        yield
    except LoopyVQError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error


def open_model(arguments: argparse.Namespace) -> "ImagePrior":
    """Load the prior and the tokenizer that a command was given."""
    from loopyvq.generation import open_image_prior

    return open_image_prior(arguments.prior, arguments.tokenizer, open_device(arguments.device))


def wished_sampling(arguments: argparse.Namespace) -> "SamplingConfig":
    """Read how to choose tokens."""
    from loopyvq.models.prior.sampling import SamplingConfig

    return SamplingConfig(
        temperature=arguments.temperature,
        stop_temperature=arguments.stop_temperature,
        turn_temperatures=tuple(arguments.turn_temperatures),
        top_k=arguments.top_k,
        top_p=arguments.top_p,
        min_p=arguments.min_p,
        guidance=arguments.guidance,
        length_budget=arguments.tokens,
    )


def wished_windows(arguments: argparse.Namespace, model: "ImagePrior") -> "Windows":
    """Read how far the prior is to see."""
    window = size_of(arguments.window, "--window") if arguments.window else None
    return model.windows(window, arguments.stride)


def size_of(words: str, option: str) -> tuple[int, int]:
    """Read a size.

    Args:
        words: such as ``64x96``, or ``64`` for a square.
        option: its name, for the message.

    Returns:
        Height and width.

    Raises:
        ConfigError: these are no sizes.

    Example:
        >>> size_of("64x96", "--size"), size_of("64", "--size")
        ((64, 96), (64, 64))
    """
    sides = words.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise ConfigError(f"{option} must be a height and a width such as 64x96, got {words!r}")
    return int(sides[0]), int(sides[-1])


def draw_all(
    model: "ImagePrior",
    request: "Request",
    windows: "Windows",
    arguments: argparse.Namespace,
    film: "Film | None" = None,
) -> "Iterator[Tokens]":
    """Draw all images of a request, with a progress bar.

    Args:
        model: draws them.
        request: what to draw.
        windows: how far the prior sees.
        arguments: of `add_drawing`.
        film: keeps moments of the first batch.

    Yields:
        Tokens, batch by batch.
    """
    from tqdm import tqdm

    from loopyvq.generation import draw_in_batches

    sites = request.grid[0] * request.grid[1]
    total, done = request.batch * sites, 0
    if arguments.batch < 1:
        raise ConfigError(f"--batch must be at least 1, got {arguments.batch}")
    with tqdm(total=total, unit="site", leave=False, disable=None) as bar:

        def on_site(num_sites: int, tokens: "Tokens") -> None:
            bar.update(done + num_sites * len(tokens.lengths) - bar.n)
            if film is not None and done == 0:
                film(num_sites, tokens)

        batches = draw_in_batches(
            model.prior,
            request,
            windows,
            wished_sampling(arguments),
            seed=arguments.seed,
            batch_size=arguments.batch,
            on_site=on_site,
        )
        for tokens in batches:
            done += len(tokens.lengths) * sites
            bar.update(done - bar.n)
            yield tokens
