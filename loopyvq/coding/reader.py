"""Bytes read from the front, with every end checked, and whole numbers of any size in them."""

from loopyvq.errors import BitstreamError

__all__ = ["LARGEST_VARINT", "EndOfDataError", "Reader", "varint"]

LARGEST_VARINT = (1 << 32) - 1


def varint(number: int) -> bytes:
    """Write a number in groups of seven bits, the lowest first; a set high bit says "more".

    Args:
        number: ``0..2^32-1``.

    Returns:
        1 to 5 bytes.

    Raises:
        ValueError: the number is out of range.

    Example:
        >>> varint(300).hex()
        'ac02'
    """
    if not 0 <= number <= LARGEST_VARINT:
        raise ValueError(f"a number in a file must be within 0..{LARGEST_VARINT}, got {number}")
    groups = bytearray()
    while number >= 1 << 7:
        groups.append(number & 127 | 128)
        number >>= 7
    groups.append(number)
    return bytes(groups)


class Reader:
    """Takes bytes from the front.

    Args:
        data: all bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    @property
    def remaining(self) -> int:
        """Bytes that are left."""
        return len(self._data) - self.position

    def take(self, count: int) -> bytes:
        """Take the next bytes.

        Args:
            count: how many.

        Returns:
            The bytes.

        Raises:
            EndOfDataError: there are not so many.
        """
        if count > self.remaining:
            raise EndOfDataError(f"{count} bytes were announced, {self.remaining} are left")
        self.position += count
        return self._data[self.position - count : self.position]

    def since(self, start: int) -> bytes:
        """Look back.

        Args:
            start: an earlier position.

        Returns:
            The bytes taken since then.
        """
        return self._data[start : self.position]

    def varint(self) -> int:
        """Take a number that `varint` wrote.

        Returns:
            The number.

        Raises:
            BitstreamError: it is too large or longer than it needs to be.
        """
        number = 0
        for shift in range(0, 35, 7):
            group = self.take(1)[0]
            number |= (group & 127) << shift
            if group < 128:
                if (group == 0 and shift) or number > LARGEST_VARINT:
                    break
                return number
        raise BitstreamError("a number is too large or not written in the shortest way")

    def finish(self) -> None:
        """Check that nothing is left.

        Raises:
            BitstreamError: something is.
        """
        if self.remaining:
            raise BitstreamError(f"{self.remaining} bytes follow the end")


class EndOfDataError(BitstreamError):
    """The bytes end before what they announce."""
