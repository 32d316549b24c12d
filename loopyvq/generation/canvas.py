"""The sites of a batch of images while windows fill them."""

import torch
from torch import Tensor

from loopyvq.models.prior.base import Request
from loopyvq.tokens import PAD, Tokens

__all__ = ["Canvas", "Place"]

Place = tuple[slice, slice]
"""Rows and columns of sites."""


class Canvas:
    """Tokens on a whole grid, and which of them are there already.

    Args:
        request: the grid, and what is known from the beginning.

    Raises:
        ValueError: only one of known tokens and mask is there, or their sites are not the grid's.
    """

    def __init__(self, request: Request) -> None:
        self._sites = (request.batch, *request.grid)
        self.done = torch.zeros(self._sites, dtype=torch.bool)
        self._tokens: Tokens | None = None
        given = request.kept()
        if given is None:
            return
        (codes, lengths), mask = given[0].to("cpu"), given[1]
        self.done = mask.cpu().clone()
        kept = torch.where(self.done.unsqueeze(3), codes, PAD)
        self._tokens = Tokens(kept, torch.where(self.done, lengths, 0))

    @property
    def tokens(self) -> Tokens:
        """The tokens so far; sites that are not there yet are empty."""
        if self._tokens is None:
            raise ValueError(f"there are no tokens on the sites {self._sites} yet")
        return self._tokens

    @property
    def num_done(self) -> int:
        """Sites of the first image that are there."""
        return int(self.done[0].sum())

    def cut(self, place: Place) -> tuple[Tokens | None, Tensor | None]:
        """Give what a window knows: tokens and mask, or nothing."""
        mask = self.done[:, place[0], place[1]]
        if self._tokens is None or not bool(mask.any()):
            return None, None
        return Tokens(*(item[:, place[0], place[1]].clone() for item in self._tokens)), mask.clone()

    def paste(self, place: Place, window: Tokens) -> None:
        """Write a window's tokens over the sites that are not there yet.

        Args:
            place: where the window is.
            window: its tokens.
        """
        codes, lengths = (item.cpu() for item in window)
        if self._tokens is None:
            # A prior may report from inference mode, whose tensors could not be written to later.
            with torch.inference_mode(False):
                empty = torch.full((*self._sites, codes.shape[-1]), PAD, dtype=codes.dtype)
                self._tokens = Tokens(empty, torch.zeros(self._sites, dtype=lengths.dtype))
        kept = self.done[:, place[0], place[1]]
        for whole, fresh in zip(self._tokens, (codes, lengths), strict=True):
            part = whole[:, place[0], place[1]]
            part.copy_(torch.where(kept.unsqueeze(3) if fresh.ndim == 4 else kept, part, fresh))

    def finish(self, place: Place) -> None:
        """Count the sites of a window as there."""
        self.done[:, place[0], place[1]] = True
