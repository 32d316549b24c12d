"""Signed integers of unknown spread, such as what remains of a latent after its last code.

Zigzag order makes them 0, 1, 2, ... for 0, -1, 1, ...; the size class of each is coded with
adaptive counts, and the bits below the two highest as they are. Numbers up to 15 are their own
class, so that small ones cost what their frequency says.
"""

import numpy as np
from jaxtyping import Int, Integer

from loopyvq.coding.bits import pack_symbols, packed_size, unpack_symbols
from loopyvq.coding.frequencies import frequencies_of_weights
from loopyvq.coding.order_zero import Counts, growing_blocks
from loopyvq.coding.range_coder import RangeDecoder, RangeEncoder
from loopyvq.coding.reader import Reader, varint

__all__ = ["LARGEST_INTEGER", "decode_integers", "encode_integers"]

LARGEST_INTEGER = (1 << 31) - 1
_SMALL = 16
_NUM_CLASSES = _SMALL + 2 * 28


def encode_integers(
    values: Integer[np.ndarray, " n"], likely: Int[np.ndarray, " m"] | None = None
) -> bytes:
    """Write integers.

    Args:
        values: within ``-LARGEST_INTEGER..LARGEST_INTEGER``; those alike in spread together.
        likely: weights of 0, -1, 1, -2, ... before any came, of which each adds 16; classes after
            these have 1. By default all have 8.

    Returns:
        The bytes.

    Raises:
        ValueError: a value is too large.

    Example:
        >>> decode_integers(encode_integers(np.array([0, -3, 1000])), 3).tolist()
        [0, -3, 1000]
    """
    wide = values.astype(np.int64)
    # The least 64-bit integer has no absolute value.
    if wide.size and max(int(wide.max()), -int(wide.min())) > LARGEST_INTEGER:
        raise ValueError(f"integers must be within -{LARGEST_INTEGER}..{LARGEST_INTEGER}")
    zigzag = np.where(wide < 0, -2 * wide - 1, 2 * wide)
    widths = np.maximum(_bit_lengths(zigzag) - 2, 0) * (zigzag >= _SMALL)
    # For larger numbers the highest bit is implied and the next one is part of the class.
    classes = np.where(
        zigzag < _SMALL, zigzag, _SMALL + 2 * (widths - 3) + ((zigzag >> widths) & 1)
    )
    encoder, counts = RangeEncoder(), _counts(likely)
    for block in growing_blocks(len(classes)):
        encoder.encode(classes[block], frequencies_of_weights(counts.weights))
        counts.learn(classes[block])
    coded = encoder.finish()
    parts = [varint(len(coded)), coded]
    for width in np.unique(widths[widths > 0]).tolist():
        low = zigzag[widths == width] & ((1 << width) - 1)
        parts.append(pack_symbols(low, 1 << width))
    return b"".join(parts)


def decode_integers(
    data: bytes, count: int, likely: Int[np.ndarray, " m"] | None = None
) -> Int[np.ndarray, " n"]:
    """Read integers that `encode_integers` wrote.

    Args:
        data: the bytes, and nothing else.
        count: how many integers.
        likely: as the writer had it.

    Returns:
        The integers.

    Raises:
        BitstreamError: no encoder writes such bytes.
    """
    reader = Reader(data)
    decoder, counts = RangeDecoder(reader.take(reader.varint())), _counts(likely)
    classes = np.zeros(count, np.int64)
    for block in growing_blocks(count):
        frequencies = frequencies_of_weights(counts.weights)
        classes[block] = decoder.decode(frequencies, block.stop - block.start)
        counts.learn(classes[block])
    decoder.finish()
    widths = np.where(classes < _SMALL, 0, (classes - _SMALL) // 2 + 3)
    zigzag = np.where(classes < _SMALL, classes, (2 + (classes & 1)) << widths)
    for width in np.unique(widths[widths > 0]).tolist():
        chosen = widths == width
        number = int(chosen.sum())
        low = reader.take(packed_size(number, 1 << width))
        zigzag[chosen] |= unpack_symbols(low, number, 1 << width)
    reader.finish()
    return np.where(zigzag & 1, -(zigzag >> 1) - 1, zigzag >> 1)


def _counts(likely: Int[np.ndarray, " m"] | None) -> Counts:
    """Start to count classes."""
    counts = Counts(_NUM_CLASSES)
    if likely is not None:
        counts.weights = np.ones(_NUM_CLASSES, np.int64)
        counts.weights[: len(likely)] = likely
    return counts


def _bit_lengths(numbers: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Count the bits of numbers below 2^32; float64 holds them, so its exponent is exact."""
    return np.frexp(numbers.astype(np.float64))[1].astype(np.int64)
