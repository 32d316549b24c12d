"""A prior with the tokenizer its tokens belong to: what it takes to draw images."""

from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from loopyvq.checkpoint import load_prior, load_tokenizer_of, prior_file, prior_source
from loopyvq.codec import load_tables
from loopyvq.coding import Tables
from loopyvq.data.token_source import TokenSource
from loopyvq.errors import CheckpointError
from loopyvq.generation.converted import converted_source, tokenizer_beside
from loopyvq.generation.windows import Windows
from loopyvq.models import Tokenizer
from loopyvq.models.prior.base import Prior
from loopyvq.models.prior.site_prior import SitePrior
from loopyvq.models.taming.prior import TamingPrior
from loopyvq.pretokenize.encoding import Prices, StopRule

__all__ = ["ImagePrior", "class_numbers", "open_image_prior"]

_LARGEST_SIDE = 1 << 16


class ImagePrior(NamedTuple):
    """Everything that is needed to draw images.

    Attributes:
        prior: draws tokens.
        tokenizer: turns them into images.
        source: what the prior was trained on.
        tables: of the tokenizer, where its tokens were chosen by what they cost with them.
    """

    prior: Prior
    tokenizer: Tokenizer
    source: TokenSource
    tables: Tables | None = None

    @property
    def prices(self) -> Prices | None:
        """What is asked for prices, where tokens like those it learned are chosen by them."""
        if self.source.stop == "prior" and isinstance(self.prior, SitePrior):
            return self.prior
        return self.tables

    @property
    def trained_size(self) -> tuple[int, int]:
        """Height and width of the images it was trained on, in pixels."""
        return self.source.height, self.source.width

    def grid_of(self, size: tuple[int, int]) -> tuple[int, int]:
        """Tell how many sites an image has.

        Args:
            size: height and width, in pixels.

        Returns:
            Sites along height and width.

        Raises:
            ValueError: a side is below 1 or above 65536.
        """
        if not 1 <= min(size) <= max(size) <= _LARGEST_SIDE:
            raise ValueError(
                f"the sides of an image must be within 1..{_LARGEST_SIDE} pixels, got "
                f"{size[0]} x {size[1]}"
            )
        factor = self.tokenizer.config.downsampling
        return -(-size[0] // factor), -(-size[1] // factor)

    def windows(self, window: tuple[int, int] | None = None, stride: int | None = None) -> Windows:
        """Say how far the prior is to see.

        Args:
            window: sites along height and width; by default all that it was trained on.
            stride: sites from one window to the next; by default half of the window.

        Returns:
            The windows.

        Raises:
            ValueError: the window is larger than the prior, or the stride leaves gaps.
        """
        rows, columns = self.source.rows, self.source.columns
        height, width = window or (rows, columns)
        if height > rows or width > columns:
            raise ValueError(
                f"this prior knows windows of up to {rows} x {columns} sites, got "
                f"{height} x {width}"
            )
        if stride is None:
            stride = max(1, min(height, width) // 2)
        windows = Windows(height, width, stride)
        windows.places((height, width))  # complains of numbers out of range
        return windows

    def ranks(
        self, windows: Windows, grid: tuple[int, int], known: Bool[Tensor, "h w"] | None = None
    ) -> Int[Tensor, "h w"]:
        """Tell when each site is drawn, as `Windows.ranks` does.

        Args:
            windows: how far the prior sees.
            grid: sites along height and width.
            known: sites that are there from the beginning.

        Returns:
            The number of each site; 0 everywhere for a prior that does not draw in the order of
            reading.
        """
        config = getattr(self.prior, "config", None)
        if getattr(config, "order", "raster") != "raster" or getattr(config, "permuted_sites", 0):
            return torch.zeros(grid, dtype=torch.int64)
        return windows.ranks(grid, known)


def open_image_prior(
    path: str | Path, tokenizer: str | Path | None = None, device: str | torch.device = "cpu"
) -> ImagePrior:
    """Read a prior and its tokenizer.

    Args:
        path: a prior's file, the folder of its training run, or that of a conversion.
        tokenizer: where the tokenizer is; by default where it was when the prior was trained, or
            beside the converted prior.
        device: where to put both.

    Returns:
        Both, in evaluation mode.

    Raises:
        CheckpointError: one of them cannot be read, they do not belong together, or the prior does
            not say what it was trained on.
    """
    prior, source = load_prior(path, device), prior_source(path)
    if source is None and isinstance(prior, TamingPrior):
        beside = tokenizer_beside(path, tokenizer, device)
        converted = converted_source(prior, beside, path)
        prior.num_codes = converted.codebook_size
        return ImagePrior(prior, beside, converted)
    if source is None or not isinstance(prior, Prior):
        raise CheckpointError(
            f"{path} does not say on what grid and at what threshold it was trained, so it cannot "
            f"draw images on its own: use it from Python"
        )
    loaded = load_tokenizer_of(path, tokenizer, device)
    tables = None
    if StopRule.of(source).needs_tables:
        tables = load_tables(tokenizer or source.tokenizer_file(prior_file(path).parent))
    return ImagePrior(prior, loaded, source, tables)


def class_numbers(names: list[str], source: TokenSource) -> Int[Tensor, " n"]:
    """Find classes by name or number.

    Args:
        names: names of classes, or their numbers from 0.
        source: knows the classes.

    Returns:
        Their numbers.

    Raises:
        ValueError: the prior knows no classes, or not this one.
    """
    if not source.classes:
        raise ValueError("this prior was trained without classes: draw without naming one")
    numbers = []
    for name in names:
        if name in source.class_names:
            numbers.append(source.class_names.index(name))
        elif name.isdecimal() and int(name) < source.classes:
            numbers.append(int(name))
        else:
            raise ValueError(f"there is no class {name!r}: {_proposal(name, source)}")
    return torch.tensor(numbers)


def _proposal(name: str, source: TokenSource) -> str:
    """Name the class that was probably meant, else all of them."""
    names = {known.casefold(): known for known in source.class_names}
    near = get_close_matches(name.casefold(), names, n=1)
    if near:
        return f"did you mean {names[near[0]]!r}?"
    return f"choose one of {', '.join(source.class_names) or 'them'} (0 to {source.classes - 1})"
