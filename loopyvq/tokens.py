"""The one value that crosses every border: what the loop said about each site.

    image --encoder--> z_e --loop--> Tokens --decode--> z_q --decoder--> image

A site's codes stand in the order they were emitted. `CONTINUE` means "not close yet, and no code
helps at this scale"; everything after a site's length is `PAD`.
"""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

__all__ = ["CONTINUE", "LARGEST_DEPTH", "PAD", "Tokens"]

CONTINUE = -2
PAD = -1
LARGEST_DEPTH = 255
"""Most turns of a site: files hold lengths as bytes."""


class Tokens(NamedTuple):
    """Variable-length sequences of codes, one per site.

    Attributes:
        codes: ``... l``; a code in ``0..codebook_size-1`` or `CONTINUE` before the site's length,
            `PAD` from there on. ``l`` is the largest length that is allowed (``max_depth``).
        lengths: ``...``; how many tokens each site has, ``0..l``.

    Example:
        >>> tokens = Tokens(torch.tensor([[7, 3, PAD], [PAD, PAD, PAD]]), torch.tensor([2, 0]))
        >>> tokens.num_tokens
        2
        >>> tokens.prefix(1).codes.tolist()
        [[7, -1, -1], [-1, -1, -1]]
    """

    codes: Int[Tensor, "... l"]
    lengths: Int[Tensor, "..."]

    @property
    def max_depth(self) -> int:
        """The largest length a site may have."""
        return int(self.codes.shape[-1])

    @property
    def num_tokens(self) -> int:
        """How many tokens all sites have together, `PAD` not counted."""
        return int(self.lengths.sum())

    def prefix(self, turns: int) -> "Tokens":
        """Keep only the first ``turns`` tokens of every site.

        Args:
            turns: 0 or more; a number above ``max_depth`` changes nothing.

        Returns:
            Tokens of the same shape, padded where tokens were dropped.

        Raises:
            ValueError: ``turns`` is negative.
        """
        if turns < 0:
            raise ValueError(f"turns must be 0 or more, got {turns}")
        kept = torch.arange(self.max_depth, device=self.codes.device) < turns
        return Tokens(torch.where(kept, self.codes, PAD), self.lengths.clamp(max=turns))

    def to(self, device: torch.device | str) -> "Tokens":
        """Move to a device."""
        return Tokens(self.codes.to(device), self.lengths.to(device))

    def validate(self, codebook_size: int) -> "Tokens":
        """Check that every token is legal where it stands.

        Args:
            codebook_size: number of codes, at least 1.

        Returns:
            The tokens themselves.

        Raises:
            ValueError: the shapes do not fit, a length is outside ``0..l``, a code is out of
                range, or `PAD` and the lengths disagree.
        """
        codes, lengths = self
        if codes.ndim == 0 or codes.shape[:-1] != lengths.shape:
            raise ValueError(
                f"codes must have one axis more than lengths, "
                f"got {tuple(codes.shape)} and {tuple(lengths.shape)}"
            )
        if lengths.numel() and (lengths.min() < 0 or lengths.max() > self.max_depth):
            raise ValueError(
                f"lengths must be within 0..{self.max_depth}, "
                f"got {int(lengths.min())}..{int(lengths.max())}"
            )
        ran = torch.arange(self.max_depth, device=codes.device) < lengths.unsqueeze(-1)
        codes = codes.long()  # narrow ones could not be compared with a number beyond their range
        legal = ((codes >= 0) & (codes < codebook_size)) | (codes == CONTINUE)
        if not torch.equal(torch.where(ran, legal, codes == PAD), torch.ones_like(ran)):
            raise ValueError(
                f"codes must be 0..{codebook_size - 1} or CONTINUE ({CONTINUE}) before a site's "
                f"length and PAD ({PAD}) after it"
            )
        return self
