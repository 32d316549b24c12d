"""Tokens of many images with all that is known of them, packed without padding."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Int, Shaped, UInt8
from torch import Tensor

from loopyvq.conditions import Condition
from loopyvq.tokens import PAD, Tokens

__all__ = ["PackedTokens", "TokenBatch"]


class TokenBatch(NamedTuple):
    """What a prior learns from.

    Attributes:
        tokens: sites of shape ``b h w``.
        condition: what is known of the images.
    """

    tokens: Tokens
    condition: Condition


class PackedTokens(NamedTuple):
    """Tokens of images of one grid, each code stored once and no filler at all.

    Attributes:
        codes: ``m``; of all images, site after site, each site's in the order of the turns.
        starts: ``n + 1``; where each image begins in ``codes``, and the end.
        lengths: ``n h w``; tokens of every site.
        condition: of the images.
        max_depth: largest length that is allowed.

    Example:
        >>> tokens = Tokens(torch.tensor([[[[7, 3]], [[5, PAD]]]]), torch.tensor([[[2], [1]]]))
        >>> packed = PackedTokens.pack(tokens, Condition())
        >>> packed.codes.tolist(), packed.select([0]).tokens.codes.tolist()
        ([7, 3, 5], [[[[7, 3]], [[5, -1]]]])
    """

    codes: Shaped[Tensor, " m"]
    starts: Int[Tensor, " starts"]
    lengths: UInt8[Tensor, "n h w"]
    condition: Condition
    max_depth: int

    @classmethod
    def pack(cls, tokens: Tokens, condition: Condition) -> "PackedTokens":
        """Leave out the filler.

        Args:
            tokens: sites of shape ``n h w``, at most 255 turns.
            condition: of these images.

        Returns:
            The same, packed, with codes of 64 bits.

        Raises:
            ValueError: the sites have another shape, or there are more turns.
        """
        if tokens.lengths.ndim != 3 or tokens.max_depth > 255:
            raise ValueError(
                f"expected sites b h w of at most 255 turns, got {tuple(tokens.codes.shape)}"
            )
        ran = _ran(tokens.lengths, tokens.max_depth)
        lengths = tokens.lengths.to(torch.uint8)
        return cls.of(tokens.codes[ran], lengths, condition, tokens.max_depth)

    @classmethod
    def of(
        cls,
        codes: Shaped[Tensor, " m"],
        lengths: UInt8[Tensor, "n h w"],
        condition: Condition,
        max_depth: int,
    ) -> "PackedTokens":
        """Take codes that are packed already.

        Args:
            codes: of all images, one site after the other.
            lengths: tokens of every site.
            condition: of the images.
            max_depth: largest length that is allowed.

        Returns:
            The pack.

        Raises:
            ValueError: there are not as many codes as the lengths say.
        """
        starts = _starts(lengths)
        if lengths.ndim != 3 or codes.shape != (int(starts[-1]),):
            raise ValueError(f"{int(starts[-1])} codes expected, got {tuple(codes.shape)}")
        return cls(codes, starts, lengths, condition, max_depth)

    @classmethod
    def join(cls, parts: Iterable["PackedTokens"]) -> "PackedTokens":
        """Put several packs of one grid together.

        Args:
            parts: at least one; all with the same conditions.

        Returns:
            One pack of all their images, in order.
        """
        packs = list(parts)
        lengths = torch.cat([pack.lengths for pack in packs])
        fields = zip(*(pack.condition for pack in packs), strict=True)
        condition = Condition(*(_join(items) for items in fields))
        codes = torch.cat([pack.codes for pack in packs])
        return cls(codes, _starts(lengths), lengths, condition, packs[0].max_depth)

    @property
    def num_images(self) -> int:
        """How many images are packed."""
        return int(self.lengths.shape[0])

    @property
    def tokens_per_image(self) -> Int[Tensor, " n"]:
        """How many tokens each image has."""
        return self.starts[1:] - self.starts[:-1]

    def select(self, rows: Sequence[int] | Int[Tensor, " b"]) -> TokenBatch:
        """Unpack some images.

        Args:
            rows: their places, at least one; one may come twice.

        Returns:
            A batch of them, in that order.
        """
        index = torch.as_tensor(rows, dtype=torch.int64)
        lengths = self.lengths[index].long()
        bounds = zip(self.starts[index].tolist(), self.starts[index + 1].tolist(), strict=True)
        codes = torch.full((*lengths.shape, self.max_depth), PAD)
        found = torch.cat([self.codes[start:end] for start, end in bounds])
        codes[_ran(lengths, self.max_depth)] = found.long()
        condition = self.condition.select(index)
        widened = Condition(*(item if item is None else _wide(item) for item in condition))
        return TokenBatch(Tokens(codes, lengths), widened)


def _ran(lengths: Tensor, max_depth: int) -> Tensor:
    return torch.arange(max_depth, device=lengths.device) < lengths.unsqueeze(-1)


def _starts(lengths: Tensor) -> Tensor:
    ends = lengths.long().sum(dim=(1, 2)).cumsum(dim=0)
    return torch.cat([ends.new_zeros(1), ends])


def _join(items: Sequence[Tensor | None]) -> Tensor | None:
    there = [item for item in items if item is not None]
    return torch.cat(there) if len(there) == len(items) else None


def _wide(item: Tensor) -> Tensor:
    return item.float() if item.is_floating_point() else item.long()
