"""Draw many images in batches that do not show: seed and number decide each of them."""

from collections.abc import Iterator

import torch

from loopyvq.generation.windows import Windows, generate_by_windows, settled_sites
from loopyvq.models.prior.base import OnSite, Prior, Request
from loopyvq.models.prior.sampling import SamplingConfig
from loopyvq.tokens import Tokens

__all__ = ["Generators", "draw_in_batches"]

_SEEDS = 1 << 63
_BETWEEN_WINDOWS = 0x9E3779B97F4A7C15  # odd, so that windows of neighbouring seeds do not meet


class Generators:
    """A generator of random numbers for every window, begun once and used by batch after batch.

    Args:
        seed: 0 or more and below 2**63; the first window's generator has it as it is.

    Raises:
        ValueError: the seed is out of range.

    Example:
        >>> generators = Generators(7)
        >>> generators(0) is generators(0), generators(1).initial_seed() == 7
        (True, False)
    """

    def __init__(self, seed: int) -> None:
        if seed < 0:
            raise ValueError(f"seed must be 0 or more, got {seed}")
        if seed >= _SEEDS:
            raise ValueError(f"seed must be below 2**63, got {seed}")
        self.seed = seed
        self._made: dict[int, torch.Generator] = {}

    def __call__(self, window: int) -> torch.Generator:
        """Give the generator of a window.

        Args:
            window: its number.

        Returns:
            The generator, where earlier batches left it.
        """
        if window not in self._made:
            seed = (self.seed + window * _BETWEEN_WINDOWS) % _SEEDS
            self._made[window] = torch.Generator().manual_seed(seed)
        return self._made[window]


def draw_in_batches(
    prior: Prior,
    request: Request,
    windows: Windows,
    sampling: SamplingConfig,
    *,
    seed: int,
    batch_size: int,
    on_site: OnSite | None = None,
) -> Iterator[Tokens]:
    """Draw images batch after batch.

    Every image takes numbers of its own from the generators, so it is the same whatever the size
    of the batches, up to this: a product of another size may round otherwise, and a draw that lies
    on the very border between two symbols can then fall to the other side.

    Args:
        prior: gives the tokens.
        request: of all images.
        windows: how far the prior sees; the grid may be larger.
        sampling: how to draw.
        seed: 0 or more and below 2**63.
        batch_size: images that are drawn at once, at least 1.
        on_site: told of progress within each batch.

    Yields:
        Tokens of the next batch, on the CPU.

    Raises:
        ValueError: a number is out of range, or what is asked for does not fit the prior.
    """
    if batch_size < 1 or request.batch < 1:
        raise ValueError(
            f"there must be at least 1 image and 1 in a batch, got {request.batch} and {batch_size}"
        )
    generators, settled = Generators(seed), settled_sites(request)
    for start in range(0, request.batch, batch_size):
        index = torch.arange(start, min(start + batch_size, request.batch))
        part = request.select(index)
        yield generate_by_windows(prior, part, windows, sampling, generators, on_site, settled)
