"""Arrays of floats as they are: a codebook that a file brings along."""

from collections.abc import Sequence
from math import prod

import numpy as np
from jaxtyping import Float

from loopyvq.coding.reader import Reader, varint
from loopyvq.errors import BitstreamError

__all__ = ["decode_floats", "encode_floats"]

_TYPES = ("<f4", "<f2")
_MOST_AXES = 4


def encode_floats(arrays: Sequence[Float[np.ndarray, "..."]], half: bool = False) -> bytes:
    """Write arrays one after another.

    Args:
        arrays: finite, of at most four axes.
        half: round to 16 bits in place of 32.

    Returns:
        The bytes.

    Raises:
        ValueError: a number is not finite once rounded, or an array has too many axes.
    """
    parts = []
    for array in arrays:
        with np.errstate(over="ignore"):
            rounded = array.astype(_TYPES[half])
        if not np.isfinite(rounded).all() or array.ndim > _MOST_AXES:
            raise ValueError(f"arrays must be finite and have at most {_MOST_AXES} axes")
        parts += [bytes([half, array.ndim]), *map(varint, array.shape), rounded.tobytes()]
    return b"".join(parts)


def decode_floats(data: bytes) -> list[Float[np.ndarray, "..."]]:
    """Read arrays that `encode_floats` wrote.

    Args:
        data: the bytes, and nothing else.

    Returns:
        Arrays of float32.

    Raises:
        BitstreamError: there are no such arrays.
    """
    reader, arrays = Reader(data), []
    while reader.remaining:
        half, num_axes = reader.take(2)
        if half > 1 or num_axes > _MOST_AXES:
            raise BitstreamError(f"an array of type {half} and {num_axes} axes cannot be")
        shape = [reader.varint() for _ in range(num_axes)]
        kind = np.dtype(_TYPES[half])
        raw = reader.take(prod(shape) * kind.itemsize)
        try:
            array = np.frombuffer(raw, kind).reshape(shape).astype(np.float32)
        except ValueError as error:  # an axis of 0 hides others that are huge
            raise BitstreamError(f"an array of shape {shape} cannot be") from error
        if not np.isfinite(array).all():
            raise BitstreamError("an array of the file is not finite")
        arrays.append(array)
    return arrays
