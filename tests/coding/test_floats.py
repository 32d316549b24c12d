import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.coding.floats import decode_floats, encode_floats
from loopyvq.errors import BitstreamError

ARRAYS = [np.array([[1.5, -2.25]], np.float32), np.array(3, np.float32), np.zeros((0, 7))]


@pytest.mark.parametrize("half", [False, True])
def test_arrays_come_back(half):
    back = decode_floats(encode_floats(ARRAYS, half))
    for one, other in zip(back, ARRAYS, strict=True):
        assert one.dtype == np.float32
        assert np.array_equal(one, other)


def test_golden_bytes():
    assert encode_floats(ARRAYS[:1]).hex() == "000201020000c03f000010c0"
    assert encode_floats(ARRAYS[:1], half=True).hex() == "01020102003e80c0"


@given(st.binary(max_size=30))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_refused_or_are_finite(data):
    try:
        arrays = decode_floats(data)
    except BitstreamError:
        return
    assert all(np.isfinite(array).all() for array in arrays)


def test_what_cannot_be_written_is_refused():
    for array in (np.array([np.inf]), np.array([np.nan]), np.zeros((1,) * 5)):
        with pytest.raises(ValueError, match="finite"):
            encode_floats([array])
    with pytest.raises(ValueError, match="finite"):
        encode_floats([np.array([1e6])], half=True)


def test_an_axis_of_nothing_hides_no_huge_one():
    huge = b"\xff\xff\xff\xff\x0f"  # 2**32 - 1
    with pytest.raises(BitstreamError, match="cannot be"):
        decode_floats(bytes([0, 4, 0]) + 3 * huge)
