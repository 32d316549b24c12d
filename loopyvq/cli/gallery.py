"""The files that drawing commands write: images, tokens, a contact sheet, an animation."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loopyvq.cli.outputs import write_image
from loopyvq.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from loopyvq.data import ImageSet
    from loopyvq.generation import Film, ImagePrior
    from loopyvq.tokens import Tokens

__all__ = ["CANVAS", "Gallery", "new_film", "without_overviews", "write_animation"]

CANVAS = "canvas.gif"
_SHEET = "sheet.png"
_SHOWN = 100  # images of a contact sheet
_FILMED = 16


class Gallery:
    """Write images as they are finished, and a sheet of them at the end.

    Args:
        folder: where images go.
        model: the tokenizer and the threshold of the tokens.
        size: of the images, in pixels.
        count: images that there will be.
        tokens_folder: where token files go, if anywhere.

    Raises:
        ConfigError: a folder holds files of an earlier run that would stay among the new ones.
    """

    def __init__(
        self,
        folder: str | Path,
        model: "ImagePrior",
        size: tuple[int, int],
        count: int,
        tokens_folder: str | None = None,
    ) -> None:
        self.folder, self.model, self.size = Path(folder), model, size
        self.tokens_folder = None if tokens_folder is None else Path(tokens_folder)
        self.count = 0
        self.num_tokens = 0
        self._shown: list[Tensor] = []
        _require_none_beyond(self.folder, ".png", count)
        if self.tokens_folder is not None:
            _require_none_beyond(self.tokens_folder, ".tokens", count)
        self.folder.mkdir(parents=True, exist_ok=True)  # at once, if it cannot be

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
        for number, image in enumerate(self.look_at(tokens)):
            name = _name(self.count)
            write_image(self.folder / f"{name}.png", image)
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
        from loopyvq.pictures import contact_sheet

        images = [*before, *self._shown]
        write_image(self.folder / _SHEET, contact_sheet(images, columns))

    def _write_tokens(self, tokens: "Tokens", number: int, path: Path) -> None:
        from loopyvq.token_file import TokenFile, write_token_file
        from loopyvq.tokens import Tokens

        source = self.model.source
        one = Tokens(tokens.codes[number], tokens.lengths[number])
        size, model = source.codebook_size, source.tokenizer
        write_token_file(path, TokenFile(one, *self.size, source.threshold, size, model))


def without_overviews(images: "ImageSet") -> "ImageSet":
    """Leave out the sheet and the animation that a drawing command put beside its images.

    Args:
        images: any set.

    Returns:
        What is left; of a folder without such images, all.
    """
    from loopyvq.data import Subset

    keys = [images.key(index) for index in range(len(images))]
    there, first = set(keys), f"{_name(0)}.png"

    def is_overview(key: str) -> bool:
        folder, slash, name = key.rpartition("/")
        return name in (_SHEET, CANVAS) and f"{folder}{slash}{first}" in there

    return Subset(images, [index for index, key in enumerate(keys) if not is_overview(key)])


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


def _name(number: int) -> str:
    """Name an image by its place in the run."""
    return f"{number:05}"


def _require_none_beyond(folder: Path, suffix: str, count: int) -> None:
    """Refuse a folder with files of an earlier run that nothing would write over."""
    stems = [path.stem for path in folder.glob(f"*{suffix}")]
    numbers = [int(stem) for stem in stems if stem.isdecimal() and stem == _name(int(stem))]
    others = sorted(number for number in numbers if number >= count)
    if others:
        raise ConfigError(
            f"{folder} holds {_name(others[0])}{suffix} of an earlier run, which would stay among "
            f"the new ones: remove it or choose another folder"
        )
