import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.coding.header import TARGETS, Header, read_header, write_header
from loopyvq.coding.modes import MODES
from loopyvq.coding.reader import Reader
from loopyvq.errors import BitstreamError

HEADER = Header("context", "6acc48727a0d", 512, 768, 3, 8, 0.25, 5)
SIZES = st.integers(0, (1 << 32) - 1)
FLOATS = st.floats(0, 2.0**90, width=32)


@given(
    st.sampled_from(sorted(MODES)), SIZES, SIZES, st.integers(0, 15), SIZES, FLOATS, SIZES,
    st.sampled_from(["", *TARGETS]), FLOATS, st.none() | st.integers(0, 255),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_headers_come_back(
    mode, height, width, channels, depth, threshold, chunks, target, value, steps
):
    sizes = (height, width, channels, depth, threshold, chunks)
    header = Header(mode, "0123456789ab", *sizes, target, value if target else 0.0, steps)
    reader = Reader(write_header(header))
    assert read_header(reader) == header
    reader.finish()


def test_golden_bytes_of_a_typical_image():
    data = write_header(HEADER)
    assert len(data) == 24
    assert data.hex() == "4c56510108036acc48727a0d8004800608050000803e5a49"
    with_target = write_header(HEADER._replace(target="psnr_db", target_value=30.0))
    assert len(with_target) == 29
    stating = HEADER._replace(bound_steps=32)
    assert len(write_header(stating)) == 25
    assert stating.stated_bound == 0.5
    assert HEADER.stated_bound is None


def test_one_changed_bit_is_noticed():
    data = write_header(HEADER)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BitstreamError):
            read_header(Reader(bytes(damaged)))
    for end in range(len(data)):
        with pytest.raises(BitstreamError):
            read_header(Reader(data[:end]))


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "zip"},
        {"target": "beauty"},
        {"channels": 16},
        {"threshold": -1.0},
        {"threshold": float("nan")},
        {"threshold": 1e300},
        {"bound_steps": 256},
        {"target": "ssim", "target_value": float("inf")},
        {"model": "abc"},
        {"model": "xyzxyzxyzxyz"},
        {"height": 1 << 32},
    ],
)
def test_impossible_fields_are_refused(change):
    with pytest.raises(ValueError):  # noqa: PT011
        write_header(HEADER._replace(**change))


@given(st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_bytes_with_a_right_check_sum_are_refused_or_come_back(data):
    from loopyvq.coding.header import _check_sum

    written = b"LVQ\1" + data
    try:
        header = read_header(Reader(written + _check_sum(written)))
    except BitstreamError:
        return
    assert np.isfinite(header.threshold)
    write_header(header)
