import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.coding.frequencies import frequencies_of_weights
from loopyvq.coding.range_coder import TOTAL, RangeDecoder, RangeEncoder
from loopyvq.errors import BitstreamError
from tests.coding import reference


def draw_rows(count, alphabet, seed):
    generator = np.random.default_rng(seed)
    weights = generator.random((count, alphabet)) ** 9 * 2.0 ** generator.integers(1, 30)
    rows = frequencies_of_weights(weights.astype(np.int64) + 1)
    return rows, generator.integers(0, alphabet, count)


@given(st.integers(0, 60), st.integers(2, 9), st.integers(0, 2**31))
@settings(max_examples=150, deadline=None)
def test_bytes_are_those_of_the_written_specification(count, alphabet, seed):
    rows, symbols = draw_rows(count, alphabet, seed)
    encoder = RangeEncoder()
    encoder.encode(symbols, rows)
    data = encoder.finish()
    assert data == reference.encode(symbols.tolist(), rows.tolist())
    second = reference.Decoder(data)
    assert [second.symbol(row) for row in rows.tolist()] == symbols.tolist()
    decoder = RangeDecoder(data)
    assert np.array_equal(decoder.decode(rows, count), symbols)
    decoder.finish()


def test_golden_bytes():
    frequencies = np.array([TOTAL // 2, TOTAL // 4, TOTAL // 4])
    encoder = RangeEncoder()
    encoder.encode(np.array([2, 0, 1, 0, 0, 2, 1, 0] * 4), frequencies)
    encoder.encode(np.array([1, 0]), np.array([[TOTAL - 1, 1], [TOTAL - 1, 1]]))
    assert encoder.finish().hex() == "d1cd1cd1c5f6717fff01"


def test_one_row_for_all_is_the_same_as_one_each():
    rows, symbols = draw_rows(50, 5, 1)
    one, each = RangeEncoder(), RangeEncoder()
    one.encode(symbols, rows[0])
    each.encode(symbols, np.repeat(rows[:1], 50, axis=0))
    assert one.finish() == each.finish()


def test_what_is_certain_costs_nothing():
    encoder = RangeEncoder()
    encoder.encode(np.zeros(1000, np.int64), np.array([TOTAL]))
    assert encoder.finish() == b""
    decoder = RangeDecoder(b"")
    assert decoder.decode(np.array([TOTAL]), 3).tolist() == [0, 0, 0]
    decoder.finish()


def test_the_bytes_are_within_a_byte_of_the_ideal():
    over = []
    for seed in range(60):
        rows, _ = draw_rows(400, 4, seed)
        generator = np.random.default_rng(seed)
        symbols = (rows.cumsum(1) > generator.integers(0, TOTAL, (400, 1))).argmax(1)
        encoder = RangeEncoder()
        encoder.encode(symbols, rows)
        ideal_bits = -np.log2(rows[np.arange(400), symbols] / TOTAL).sum()
        over.append(len(encoder.finish()) - ideal_bits / 8)
    assert max(over) < 1.01
    assert np.mean(over) < 0.6


@given(st.binary(max_size=40), st.integers(0, 50), st.integers(0, 1000))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_refused_or_are_what_an_encoder_writes(data, count, seed):
    rows, _ = draw_rows(count, 4, seed)
    decoder = RangeDecoder(data)
    try:
        symbols = decoder.decode(rows, count)
        decoder.finish()
    except BitstreamError:
        return
    encoder = RangeEncoder()
    encoder.encode(symbols, rows)
    assert encoder.finish() == data


@pytest.mark.parametrize("extra", [b"\0", b"\1", b"\0\0\0\0\0"])
def test_anything_after_the_end_is_refused(extra):
    rows, symbols = draw_rows(50, 5, 2)
    encoder = RangeEncoder()
    encoder.encode(symbols, rows)
    decoder = RangeDecoder(encoder.finish() + extra)
    decoder.decode(rows, 50)
    with pytest.raises(BitstreamError, match="do not end"):
        decoder.finish()
