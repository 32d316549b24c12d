"""A batch may be any tree of tensors: images alone, or tokens with all that is known of them."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor

__all__ = ["named_tensors"]


def named_tensors(batch: Any, name: str = "images") -> dict[str, Tensor]:
    """Name all tensors of a batch, so that a file can hold them.

    Args:
        batch: a tensor, or tuples of batches; what is no tensor is left out.
        name: of a batch that is one tensor.

    Returns:
        The tensors by name; fields of named tuples keep theirs.

    Example:
        >>> import torch
        >>> from loopyvq.tokens import Tokens
        >>> sorted(named_tensors((Tokens(torch.zeros(1, 1), torch.ones(1)), None)))
        ['0.codes', '0.lengths']
    """
    return {name if not path else ".".join(path): item for path, item in _walk(batch, ())}


def _walk(batch: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Tensor]]:
    if isinstance(batch, Tensor):
        yield path, batch
    elif isinstance(batch, tuple | list):
        names = getattr(batch, "_fields", [str(index) for index in range(len(batch))])
        for name, item in zip(names, batch, strict=True):
            yield from _walk(item, (*path, name))
