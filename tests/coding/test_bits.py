import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.coding.bits import bits_per_symbol, pack_symbols, packed_size, unpack_symbols
from loopyvq.errors import BitstreamError


@given(st.integers(1, 1 << 33), st.integers(0, 60), st.integers(0, 2**31))
@settings(max_examples=100, deadline=None)
def test_symbols_of_any_alphabet_come_back(alphabet, count, seed):
    symbols = np.random.default_rng(seed).integers(0, alphabet, count)
    data = pack_symbols(symbols, alphabet)
    assert len(data) == packed_size(count, alphabet)
    assert np.array_equal(unpack_symbols(data, count, alphabet), symbols)


def test_highest_bits_come_first():
    assert pack_symbols(np.array([5, 0, 7, 1]), 9).hex() == "5071"
    assert [bits_per_symbol(size) for size in (1, 2, 3, 256, 257)] == [0, 1, 2, 8, 9]


@pytest.mark.parametrize("data", [b"", b"\x29", b"\x29\x80\x00", b"\x29\x81", b"\xff\xff"])
def test_other_bytes_are_refused(data):
    with pytest.raises(BitstreamError):
        unpack_symbols(data, 3, 6)


def test_symbols_outside_of_the_alphabet_are_refused():
    with pytest.raises(BitstreamError, match="above 5"):
        unpack_symbols(b"\xe0", 1, 6)
    for symbol in (-1, 6):
        with pytest.raises(ValueError, match=r"0\.\.5"):
            pack_symbols(np.array([symbol]), 6)
    with pytest.raises(ValueError, match="at least 1"):
        bits_per_symbol(0)
