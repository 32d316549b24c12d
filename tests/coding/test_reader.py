import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopyvq.coding.reader import LARGEST_VARINT, EndOfDataError, Reader, varint
from loopyvq.errors import BitstreamError


@given(st.integers(0, LARGEST_VARINT))
def test_numbers_come_back(number):
    reader = Reader(varint(number))
    assert reader.varint() == number
    reader.finish()


@pytest.mark.parametrize("data", ["8000", "ffffffff1f", "808080808001", "ffffffffffff"])
def test_too_large_and_too_long_numbers_are_refused(data):
    with pytest.raises(BitstreamError, match="number"):
        Reader(bytes.fromhex(data)).varint()


def test_ends_are_checked():
    reader = Reader(b"abc")
    assert reader.take(2) == b"ab"
    assert reader.since(1) == b"b"
    with pytest.raises(BitstreamError, match="1 bytes follow"):
        reader.finish()
    with pytest.raises(EndOfDataError, match="1 are left"):
        reader.take(2)
    with pytest.raises(EndOfDataError):
        Reader(b"\x80").varint()
    for number in (-1, LARGEST_VARINT + 1):
        with pytest.raises(ValueError, match="within"):
            varint(number)
