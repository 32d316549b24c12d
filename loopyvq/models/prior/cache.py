"""Keys and values of the positions that a transformer has read."""

from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

if TYPE_CHECKING:
    from loopyvq.models.prior.attention import TransformerConfig

__all__ = ["KeyValueCache"]


class KeyValueCache:
    """Memory for a number of positions, taken once; no gradient flows through it.

    Args:
        config: the transformer it is for.
        batch: number of sequences.
        capacity: most positions it can hold.
        dtype: of the features.
        device: where the transformer is.

    Attributes:
        length: positions that are in it.
    """

    def __init__(
        self,
        config: "TransformerConfig",
        batch: int,
        capacity: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        size = (config.layers, batch, 2, config.heads, capacity, config.width // config.heads)
        self.memory = torch.zeros(size, dtype=dtype, device=device)
        self.layers = [self.memory[layer] for layer in range(config.layers)]
        self.length = 0
        self.plan: Any = None

    @property
    def capacity(self) -> int:
        """Most positions it can hold."""
        return int(self.memory.shape[4])

    def require(self, length: int) -> None:
        """Check that there is room.

        Args:
            length: positions that must fit.

        Raises:
            ValueError: they do not.
        """
        if length > self.capacity:
            raise ValueError(
                f"the cache holds at most {self.capacity} positions, got {length}: make it larger"
            )

    def extend(
        self, layer: int, key: Float[Tensor, "b n t d"], value: Float[Tensor, "b n t d"]
    ) -> tuple[Float[Tensor, "b n s d"], Float[Tensor, "b n s d"]]:
        """Store keys and values of new positions; `length` stays until all layers have theirs.

        Args:
            layer: the block.
            key: of every head and new position.
            value: alike.

        Returns:
            Keys and values of all positions, the new ones last.
        """
        end = self.length + key.shape[2]
        memory = self.layers[layer]
        memory[:, 0, :, self.length : end] = key.detach()
        memory[:, 1, :, self.length : end] = value.detach()
        return memory[:, 0, :, :end], memory[:, 1, :, :end]

    def rows(self, index: Int[Tensor, " n"]) -> "KeyValueCache":
        """Select sequences, perhaps several times.

        Args:
            index: which, in the order they shall have.

        Returns:
            A cache of its own memory.
        """
        chosen = object.__new__(KeyValueCache)
        size = (*self.memory.shape[:1], len(index), *self.memory.shape[2:])
        chosen.memory = self.memory.new_zeros(size)
        used = slice(None, self.length)  # the rest may never have been touched, and need not be
        chosen.memory[..., used, :] = self.memory[..., used, :].index_select(1, index)
        chosen.layers = [chosen.memory[layer] for layer in range(len(self.layers))]
        chosen.length = self.length
        chosen.plan = None  # fewer sequences may go another way
        return chosen

    def reset(self) -> None:
        """Forget every position, and what was derived from weights; the memory stays."""
        self.length = 0
        self.plan = None
