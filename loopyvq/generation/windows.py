"""Images larger than a prior: a window moves over the sites and completes what it finds.

+--------+----+     windows in the order of reading; in each, the sites that earlier ones drew
| window 0    |     are known, and one cached generation draws the others
|    +---+----+---+
+----|--- window 1|
     +------------+
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from loopyvq.conditions import Condition
from loopyvq.generation.canvas import Canvas, Place
from loopyvq.models.prior.base import OnSite, Prior, Request
from loopyvq.models.prior.sampling import SamplingConfig
from loopyvq.tokens import Tokens

__all__ = ["GeneratorOf", "Windows", "generate_by_windows", "settled_sites"]

GeneratorOf = Callable[[int], torch.Generator]
"""Gives the generator of a window by its number."""


class Windows(NamedTuple):
    """Where a window stops on its way over the sites.

    Attributes:
        height: sites of the window along the height.
        width: sites of the window along the width.
        stride: sites it moves at a time, to the right and down; what is left of it overlaps.
    """

    height: int
    width: int
    stride: int

    def places(self, grid: tuple[int, int]) -> list[Place]:
        """List the places of the window in the order of reading.

        Args:
            grid: sites along height and width.

        Returns:
            Rows and columns of each; the last ones touch the right and the lower border.

        Raises:
            ValueError: a number is below 1, or the stride leaves gaps.

        Example:
            >>> [columns.start for _, columns in Windows(2, 4, 2).places((2, 7))]
            [0, 2, 3]
        """
        if min(self) < 1 or min(grid) < 1 or self.stride > min(self.height, self.width):
            raise ValueError(
                f"window and grid must have sites and the stride must be within "
                f"1..{min(self.height, self.width)}, got a window of {self.height} x {self.width}, "
                f"a grid of {grid[0]} x {grid[1]} and the stride {self.stride}"
            )
        height, width = min(self.height, grid[0]), min(self.width, grid[1])
        return [
            (slice(top, top + height), slice(left, left + width))
            for top in _starts(grid[0], height, self.stride)
            for left in _starts(grid[1], width, self.stride)
        ]

    def ranks(
        self, grid: tuple[int, int], known: Bool[Tensor, "h w"] | None = None
    ) -> Int[Tensor, "h w"]:
        """Tell when each site is drawn by a prior that draws in the order of reading.

        Args:
            grid: sites along height and width.
            known: sites that are there from the beginning; they come first.

        Returns:
            The number of each site, from 0.

        Example:
            >>> Windows(2, 2, 2).ranks((2, 3)).tolist()
            [[0, 1, 4], [2, 3, 5]]
        """
        there = torch.zeros(grid, dtype=torch.bool) if known is None else known.clone()
        ranks = torch.zeros(grid, dtype=torch.int64)
        ranks[there] = torch.arange(int(there.sum()))
        for place in self.places(grid):
            fresh = ~there[place]
            first = int(there.sum())
            ranks[place] = ranks[place].masked_scatter(
                fresh, torch.arange(first, first + int(fresh.sum()))
            )
            there[place] = True
        return ranks


def generate_by_windows(
    prior: Prior,
    request: Request,
    windows: Windows,
    sampling: SamplingConfig,
    generator_of: GeneratorOf,
    on_site: OnSite | None = None,
    settled: Bool[Tensor, "h w"] | None = None,
) -> Tokens:
    """Draw images on a grid of any size with a prior of a limited one.

    The first window is what plain generation of its size gives. Later ones see their known sites as
    in a completion: each site those above it and to its left within the window.

    Args:
        prior: knows grids of the size of the window.
        request: how many images, on what grid, given what; maps, places and painted lengths are of
            the whole grid, and each window gets its part.
        windows: where the window goes.
        sampling: how to draw; a length budget is that of the whole image, of which every window
            gets its share.
        generator_of: one generator per window, so that images do not depend on their batch: draw
            batch after batch with the same generators.
        on_site: told of progress on the whole grid.
        settled: sites that are known in all images of all batches; windows with no others take no
            random numbers. By default in those of this request.

    Returns:
        Tokens with sites of shape ``b h w``, on the CPU; known ones as they were.

    Raises:
        ValueError: the window, what is known or a condition does not fit.

    References:
        A window for every site, without a cache: "Taming Transformers for High-Resolution Image
        Synthesis", 2021, section 3.2, https://arxiv.org/abs/2012.09841
    """
    places = windows.places(request.grid)
    boxes = request.condition.boxes if request.condition is not None else None
    if len(places) > 1 and boxes is not None and bool((boxes[..., 0] >= 0).any()):
        raise ValueError("boxes belong to a whole image: they cannot be cut into windows")
    canvas = Canvas(request)
    there = settled_sites(request) if settled is None else settled.clone()
    for number, place in enumerate(places):
        if bool(there[place].all()):
            continue
        there[place] = True
        report = None
        if on_site is not None:
            report = _Report(on_site, canvas, place)
        part = _part(request, canvas, place)
        share = _share(sampling, request.grid, part.grid)
        canvas.paste(place, prior.generate(part, share, generator_of(number), report))
        canvas.finish(place)
    return canvas.tokens


def settled_sites(request: Request) -> Bool[Tensor, "h w"]:
    """Tell which sites are known in all images.

    Args:
        request: the images.

    Returns:
        The sites that have nothing to draw.
    """
    if request.mask is None:
        return torch.zeros(request.grid, dtype=torch.bool)
    return request.mask.cpu().all(dim=0)


class _Report:
    """Tell of progress in a window as progress on the whole grid."""

    def __init__(self, on_site: OnSite, canvas: Canvas, place: Place) -> None:
        self.on_site, self.canvas, self.place = on_site, canvas, place
        self.before = canvas.num_done

    def __call__(self, num_sites: int, tokens: Tokens) -> None:
        """Show the window on the canvas."""
        self.canvas.paste(self.place, tokens)
        fresh = int((~self.canvas.done[0][self.place]).flatten()[:num_sites].sum())
        self.on_site(self.before + fresh, self.canvas.tokens)


def _part(request: Request, canvas: Canvas, place: Place) -> Request:
    """Ask for one window."""
    rows, columns = place
    grid = (rows.stop - rows.start, columns.stop - columns.start)
    known, mask = canvas.cut(place)
    return request._replace(
        grid=grid,
        condition=_cut_condition(request.condition, request.grid, place),
        known=known,
        mask=mask,
        painted=None if request.painted is None else request.painted[:, rows, columns],
    )


def _cut_condition(
    condition: Condition | None, grid: tuple[int, int], place: Place
) -> Condition | None:
    """Cut maps and places down to a window."""
    if condition is None:
        return None
    rows, columns = place
    places, symbols = condition.places, condition.symbols
    return condition._replace(
        places=None if places is None else places[:, rows, columns],
        symbols=None if symbols is None else _cut_map(symbols, grid, place),
    )


def _cut_map(symbols: Tensor, grid: tuple[int, int], place: Place) -> Tensor:
    """Cut a map that is a whole number of times finer or coarser than the grid."""
    parts = []
    for side, sites, length in zip(place, grid, symbols.shape[1:], strict=True):
        start, stop = side.start * length, side.stop * length
        if start % sites or stop % sites:
            raise ValueError(
                f"a map of {length} symbols cannot be cut at the sites {side.start} and "
                f"{side.stop} of {sites}: choose a window and a stride that are multiples of its "
                f"symbols, or a finer map"
            )
        parts.append(slice(start // sites, stop // sites))
    return symbols[:, parts[0], parts[1]]


def _share(
    sampling: SamplingConfig, grid: tuple[int, int], window: tuple[int, int]
) -> SamplingConfig:
    """Give a window its share of the length budget."""
    if sampling.length_budget is None or window == grid:
        return sampling
    share = sampling.length_budget * window[0] * window[1] / (grid[0] * grid[1])
    return replace(sampling, length_budget=max(1, round(share)))


def _starts(length: int, window: int, stride: int) -> Iterator[int]:
    """Give where windows begin along one side; the last one ends with it."""
    yield from range(0, length - window, stride)
    yield length - window
