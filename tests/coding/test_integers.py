import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.coding.integers import LARGEST_INTEGER, decode_integers, encode_integers
from loopyvq.errors import BitstreamError


@given(st.lists(st.integers(-LARGEST_INTEGER, LARGEST_INTEGER) | st.integers(-40, 40), max_size=80))
@settings(max_examples=150, deadline=None)
def test_integers_come_back(values):
    array = np.array(values, np.int64)
    assert np.array_equal(decode_integers(encode_integers(array), len(array)), array)


def test_golden_bytes():
    values = np.array([0, -1, 1, 15, -16, 7, -8, 100, -1000, 10**6, LARGEST_INTEGER])
    assert encode_integers(values).hex() == "09000d0acc70e71b7a71dc20e780d09000fffffff8"


@pytest.mark.parametrize("spread", [0.3, 3.0, 300.0])
def test_laplace_noise_costs_little_more_than_its_entropy(spread):
    values = np.rint(np.random.default_rng(0).laplace(0, spread, 20_000)).astype(np.int64)
    _, counts = np.unique(values, return_counts=True)
    entropy_bits = -(counts * np.log2(counts / counts.sum())).sum()
    assert 8 * len(encode_integers(values)) < 1.03 * entropy_bits + 400


@given(st.binary(max_size=30), st.integers(0, 20))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_refused_or_are_what_an_encoder_writes(data, count):
    try:
        values = decode_integers(data, count)
    except BitstreamError:
        return
    assert encode_integers(values) == data


def test_numbers_out_of_range_are_refused():
    for value in (1 << 31, -(1 << 31), -(1 << 63)):
        with pytest.raises(ValueError, match="within"):
            encode_integers(np.array([value]))
