"""What every quantizer promises: the contract and the result."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from loopyvq.tokens import Tokens

__all__ = ["Quantized", "Quantizer"]


class Quantized(NamedTuple):
    """What one forward pass of a quantizer gives; the first three unpack as elsewhere.

    Attributes:
        z_q: ``... d``, float32 (float64 for float64 input); the decoded latents, with the
            gradient of the encoder output passed straight through.
        codes: ``... l``; see `Tokens`.
        loss: scalar; the weighted sum of the two losses below, ready to be added to a loss.
        lengths: ``...``; tokens per site.
        residual_norm: ``...``; the exact error ``|z_e - z_q| / sigma`` of what is decoded.
        converged: ``...``; whether the site came within its threshold; of a pull, whether the
            position that was pulled did.
        commitment_loss: scalar; squared distance of the latents from their partial sums.
        codebook_loss: scalar; the same with the gradient on codes and gains; 0 where an average
            and not the optimizer moves them.
    """

    z_q: Float[Tensor, "*n d"]
    codes: Int[Tensor, "*n l"]
    loss: Float[Tensor, ""]
    lengths: Int[Tensor, "*n"]
    residual_norm: Float[Tensor, "*n"]
    converged: Bool[Tensor, "*n"]
    commitment_loss: Float[Tensor, ""]
    codebook_loss: Float[Tensor, ""]

    @property
    def tokens(self) -> Tokens:
        """The codes and lengths as one value."""
        return Tokens(self.codes, self.lengths)


class Quantizer(nn.Module, ABC):
    """Latents to tokens and back; the sites may have any shape, the code width is the last axis."""

    _keeps_precision = False  # whether its search is made for the precision of its state alone

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Quantizer":
        """Move the state, but keep it in float32 when a model is cast to half precision.

        Rounded codes would choose other codes, and counts in bfloat16 stop at 256.
        """

        def keep_precision(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            is_half = moved.is_floating_point() and torch.finfo(moved.dtype).bits < 32
            is_kept = is_half or (self._keeps_precision and moved.dtype != tensor.dtype)
            return tensor.to(moved.device) if is_kept else moved

        super()._apply(keep_precision, recurse)  # type: ignore[no-untyped-call]
        return self

    @property
    @abstractmethod
    def codebook_size(self) -> int:
        """The number of codes."""

    @property
    @abstractmethod
    def max_depth(self) -> int:
        """The largest length of a site."""

    @abstractmethod
    def forward(
        self,
        z_e: Float[Tensor, "*n d"],
        threshold: float | Tensor | None = None,
        depth: int | Tensor | None = None,
        mask: Bool[Tensor, "*n"] | None = None,
    ) -> Quantized:
        """Quantize latents; in training mode also learn from them."""

    @abstractmethod
    def encode(
        self,
        z_e: Float[Tensor, "*n d"],
        threshold: float | Tensor | None = None,
        depth: int | Tensor | None = None,
        mask: Bool[Tensor, "*n"] | None = None,
    ) -> Tokens:
        """Give only the tokens; change nothing."""

    @abstractmethod
    def decode(self, tokens: Tokens) -> Float[Tensor, "*n d"]:
        """Give the latents that the tokens stand for."""
