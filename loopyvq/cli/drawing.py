"""What commands that draw images share: their options, the progress bar, the files they write."""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from loopyvq.cli.options import add_device, open_device
from loopyvq.errors import ConfigError, LoopyVQError

if TYPE_CHECKING:
    from torch import Tensor

    from loopyvq.generation import Film, ImagePrior, Windows
    from loopyvq.models.prior.base import Request
    from loopyvq.models.prior.sampling import SamplingConfig
    from loopyvq.tokens import Tokens

__all__ = [
    "Gallery",
    "add_drawing",
    "draw_all",
    "new_film",
    "open_model",
    "size_of",
    "told_in_one_line",
    "wished_sampling",
    "wished_windows",
    "write_animation",
]

_SHOWN = 100  # images of a contact sheet
_FILMED = 16


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


class Gallery:
    """Write images as they are finished, and a sheet of them at the end.

    Args:
        folder: where images go.
        model: the tokenizer and the threshold of the tokens.
        size: of the images, in pixels.
        tokens_folder: where token files go, if anywhere.
    """

    def __init__(
        self,
        folder: str | Path,
        model: "ImagePrior",
        size: tuple[int, int],
        tokens_folder: str | None = None,
    ) -> None:
        self.folder, self.model, self.size = Path(folder), model, size
        self.tokens_folder = None if tokens_folder is None else Path(tokens_folder)
        self.count = 0
        self.num_tokens = 0
        self._shown: list[Tensor] = []
        self.folder.mkdir(parents=True, exist_ok=True)

    def look_at(self, tokens: "Tokens") -> "Tensor":
        """Give the images of some tokens without writing them.

        Args:
            tokens: sites of shape ``b h w``.

        Returns:
            Pixels, ``b c H W``.
        """
        import torch

        from loopyvq.generation import paint

        threshold = self.model.source.threshold
        return torch.stack(list(paint(self.model.tokenizer, tokens, threshold, self.size)))

    def add(self, tokens: "Tokens") -> None:
        """Write the images of some tokens.

        Args:
            tokens: sites of shape ``b h w``.
        """
        from loopyvq.data import to_pil

        for number, image in enumerate(self.look_at(tokens)):
            name = f"{self.count:05}"
            to_pil(image).save(self.folder / f"{name}.png")
            if self.tokens_folder is not None:
                self._write_tokens(tokens, number, self.tokens_folder / f"{name}.tokens")
            if len(self._shown) < _SHOWN:
                self._shown.append(image)
            self.count += 1
        self.num_tokens += tokens.num_tokens

    def close(self, columns: int | None = None, before: "Sequence[Tensor]" = ()) -> None:
        """Write the contact sheet.

        Args:
            columns: images in a row; by default as many as rows.
            before: images to put in front.
        """
        from loopyvq.data import to_pil
        from loopyvq.pictures import contact_sheet

        images = [*before, *self._shown]
        to_pil(contact_sheet(images, columns)).save(self.folder / "sheet.png")

    def _write_tokens(self, tokens: "Tokens", number: int, path: Path) -> None:
        from loopyvq.token_file import TokenFile, write_token_file
        from loopyvq.tokens import Tokens

        source = self.model.source
        one = Tokens(tokens.codes[number], tokens.lengths[number])
        size, model = source.codebook_size, source.tokenizer
        write_token_file(path, TokenFile(one, *self.size, source.threshold, size, model))


def new_film(wanted: bool, grid: tuple[int, int]) -> "Film | None":
    """Load a film, if one is wanted."""
    from loopyvq.generation import Film

    return Film(grid[0] * grid[1], images=_FILMED) if wanted else None


def write_animation(
    path: Path,
    film: "Film",
    model: "ImagePrior",
    size: tuple[int, int],
    ranks: "Tensor",
) -> None:
    """Write the filling of the canvas as a GIF.

    Args:
        path: where to.
        film: the moments.
        model: the tokenizer and the threshold of the tokens.
        size: of the images, in pixels.
        ranks: when each site is drawn.
    """
    from loopyvq.generation import paint
    from loopyvq.pictures import animation, contact_sheet, veil
    from loopyvq.tensor_file import write_atomically

    factor, threshold = model.tokenizer.config.downsampling, model.source.threshold
    frames = []
    for num_sites, tokens in film.moments:
        images = paint(model.tokenizer, tokens, threshold, size)
        frames.append(contact_sheet([veil(image, ranks < num_sites, factor) for image in images]))
    write_atomically(path, animation(frames))
