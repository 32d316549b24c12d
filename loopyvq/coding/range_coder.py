"""Integer frequencies to bytes: the range coder of the library constriction, used exactly.

Constriction takes probabilities as floats. Here they are whole numbers that add up to what its
fast quantizer (``perfect=False``) shares out, so that its scale is exactly 1, every partial sum is
a float without rounding, and the fixed-point frequencies are the integers we chose, whatever the
version, the float width or the order of summation. ``docs/bitstream.md`` has the arithmetic.

References:
    Bamler, "Understanding Entropy Coding With Asymmetric Numeral Systems (ANS): a Statistician's
    Perspective", 2022, https://arxiv.org/abs/2201.01741
"""

from typing import Any

import constriction  # type: ignore[import-untyped]
import numpy as np
from jaxtyping import Int, Integer

from loopyvq.errors import BitstreamError

__all__ = ["TOTAL", "RangeDecoder", "RangeEncoder"]

# What the frequencies of an alphabet add up to: constriction's fixed-point precision is 24 bits.
TOTAL = 1 << 24
_FAMILY = constriction.stream.model.Categorical(perfect=False)


class RangeEncoder:
    """Append symbols, each with the frequencies of its alphabet; then take the bytes.

    Example:
        >>> frequencies = np.array([TOTAL // 2, TOTAL // 4, TOTAL // 4])
        >>> encoder = RangeEncoder()
        >>> encoder.encode(np.array([0, 2, 0, 1]), frequencies)
        >>> decoder = RangeDecoder(encoder.finish())
        >>> decoder.decode(frequencies, 4).tolist()
        [0, 2, 0, 1]
        >>> decoder.finish()
    """

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def encode(
        self, symbols: Integer[np.ndarray, " n"], frequencies: Integer[np.ndarray, "*n k"]
    ) -> None:
        """Append symbols.

        Args:
            symbols: each within ``0..k-1``.
            frequencies: at least 1 each, `TOTAL` together; one row for all symbols or one each.
        """
        if symbols.size and frequencies.shape[-1] > 1:
            self._coder.encode(symbols.astype(np.int32), *_arguments(frequencies))

    def finish(self) -> bytes:
        """Give the fewest bytes that name the interval; the decoder reads zeros after them.

        Returns:
            The bytes; none if nothing uncertain was encoded.
        """
        words: bytes = self._coder.get_compressed().astype(">u4").tobytes()
        if not words:
            return b""
        num_words, (lower, width) = self._coder.pos()
        num_bits = 32 * (int(num_words) + 2)
        sealed = int.from_bytes(words, "big") << (num_bits - 8 * len(words))
        low = sealed - (sealed - int(lower)) % (1 << 64)
        for dropped in range(64, -1, -8):
            point = -(-low >> dropped)
            if point << dropped < low + int(width):
                break
        return point.to_bytes((num_bits - dropped) // 8, "big").rstrip(b"\0")


class RangeDecoder:
    """Read symbols in the order in which they were encoded.

    Symbols are encoded again on the way, so that `finish` can accept exactly the bytes that an
    encoder writes: neither a damaged tail nor anything appended goes unnoticed.

    Args:
        data: what `RangeEncoder.finish` gave.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        words = np.frombuffer(data + b"\0" * (-len(data) % 4), ">u4").astype(np.uint32)
        self._coder = constriction.stream.queue.RangeDecoder(words)
        self._mirror = RangeEncoder()

    def decode(self, frequencies: Integer[np.ndarray, "*n k"], count: int) -> Int[np.ndarray, " n"]:
        """Read the next symbols.

        Args:
            frequencies: as given to the encoder, one row for all symbols or one each.
            count: number of symbols.

        Returns:
            The symbols.

        Raises:
            BitstreamError: no encoder writes such bytes.
        """
        if count == 0 or frequencies.shape[-1] == 1:
            return np.zeros(count, np.int64)
        entropy_model, *rows = _arguments(frequencies)
        try:
            symbols = self._coder.decode(entropy_model, *(rows or [count]))
        except AssertionError as error:  # what constriction raises for impossible bytes
            raise BitstreamError("the entropy-coded bytes are damaged") from error
        self._mirror._coder.encode(symbols, entropy_model, *rows)
        return np.asarray(symbols, np.int64)

    def finish(self) -> None:
        """Check that the bytes end with the last symbol.

        Raises:
            BitstreamError: an encoder would have written other bytes.
        """
        if self._mirror.finish() != self._data:
            raise BitstreamError("the entropy-coded bytes do not end with their last symbol")


def _arguments(frequencies: Integer[np.ndarray, "*n k"]) -> tuple[Any, ...]:
    """Make the model, and its parameters where every symbol has its own."""
    free = (frequencies - 1).astype(np.float32)  # whole and below 2^24: exact
    if frequencies.ndim == 1:
        return (constriction.stream.model.Categorical(free, perfect=False),)
    return (_FAMILY, free)
