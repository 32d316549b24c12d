"""Symbols of a known alphabet, each in the same number of bits: the baseline without a model."""

import numpy as np
from jaxtyping import Int, Integer

from loopyvq.errors import BitstreamError

__all__ = ["bits_per_symbol", "pack_symbols", "packed_size", "unpack_symbols"]


def bits_per_symbol(alphabet: int) -> int:
    """Count the bits that tell the symbols of an alphabet apart.

    Args:
        alphabet: number of symbols, at least 1.

    Returns:
        Bits; 0 for an alphabet of one.

    Raises:
        ValueError: the alphabet is empty.
    """
    if alphabet < 1:
        raise ValueError(f"an alphabet must have at least 1 symbol, got {alphabet}")
    return (alphabet - 1).bit_length()


def packed_size(count: int, alphabet: int) -> int:
    """Count the bytes of ``count`` packed symbols.

    Args:
        count: number of symbols.
        alphabet: number of symbols that can be told apart.

    Returns:
        Bytes.
    """
    return (count * bits_per_symbol(alphabet) + 7) // 8


def pack_symbols(symbols: Integer[np.ndarray, " n"], alphabet: int) -> bytes:
    """Write symbols one after another, highest bit first, and fill the last byte with zeros.

    Args:
        symbols: each within ``0..alphabet-1``.
        alphabet: number of symbols that can be told apart.

    Returns:
        `packed_size` bytes.

    Raises:
        ValueError: a symbol is outside of the alphabet.

    Example:
        >>> pack_symbols(np.array([1, 2, 3]), alphabet=8).hex()
        '2980'
    """
    width = bits_per_symbol(alphabet)
    if symbols.size and (symbols.min() < 0 or symbols.max() >= alphabet):
        raise ValueError(f"symbols must be within 0..{alphabet - 1}")
    shifts = np.arange(width - 1, -1, -1)
    bits = (symbols.astype(np.int64)[:, None] >> shifts) & 1
    return np.packbits(bits.astype(np.uint8).reshape(-1)).tobytes()


def unpack_symbols(data: bytes, count: int, alphabet: int) -> Int[np.ndarray, " n"]:
    """Read symbols that `pack_symbols` wrote.

    Args:
        data: the bytes, and nothing else.
        count: number of symbols.
        alphabet: number of symbols that can be told apart.

    Returns:
        The symbols.

    Raises:
        BitstreamError: there are more or fewer bytes, the filling is not zero, or a symbol is
            outside of the alphabet.
    """
    width = bits_per_symbol(alphabet)
    if len(data) != packed_size(count, alphabet):
        raise BitstreamError(f"{count} symbols of {width} bits do not fill {len(data)} bytes")
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    if bits[count * width :].any():
        raise BitstreamError("the bits after the last symbol must be zero")
    symbols = np.zeros(count, np.int64)
    for column in bits[: count * width].reshape(count, width).T:
        symbols = symbols * 2 + column
    if count and symbols.max() >= alphabet:
        raise BitstreamError(f"a symbol is above {alphabet - 1}")
    return symbols
