import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.codec.escape import apply_escape, distances, escape
from loopyvq.errors import BitstreamError


@given(
    count=st.integers(0, 60),
    width=st.integers(1, 20),
    scale=st.sampled_from([1e-30, 1e-3, 1.0, 1e20]),
    share=st.sampled_from([0.0, 1e-9, 1e-4, 0.02, 0.5, 10.0]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=120, deadline=None, derandomize=True)
def test_float32_vectors_come_within_any_bound(count, width, scale, share, seed):
    generator = np.random.default_rng(seed)
    meant = (generator.normal(size=(count, width)) * scale).astype(np.float32)
    start = (meant + generator.normal(size=meant.shape) * scale * 0.1).astype(np.float32)
    bound = share * scale
    done = escape(meant, start, bound, bound * 0.9999)
    vectors, number = apply_escape(done.payload, start, bound)
    assert np.array_equal(vectors, done.vectors)
    assert number == done.num_escaped
    assert (distances(meant, vectors) <= bound).all()
    untouched = distances(meant, start) <= bound * 0.9999
    assert np.array_equal(vectors[untouched], start[untouched])


def test_a_lattice_is_cheaper_than_floats():
    generator = np.random.default_rng(0)
    meant = generator.normal(size=(500, 16)).astype(np.float32)
    done = escape(meant, np.zeros_like(meant), 0.4)
    assert done.num_exact == 0
    assert len(done.payload) * 8 / meant.size < 5


@given(st.binary(max_size=40), st.booleans())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_bytes_are_vectors_or_a_bitstream_error(noise, begins_well):
    start = np.ones((5, 3), np.float32)
    payload = bytes([16]) + noise if begins_well else noise
    try:
        vectors, _ = apply_escape(payload, start, 0.1)
    except BitstreamError:
        return
    assert np.isfinite(vectors).all()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        bytes([15, 0, 0, 0, 0, 0]),
        bytes([29, 0, 0, 0, 0, 0]),
        bytes([16, 9]),
        bytes([16, 0, 1, 7, 0, 0, 0]),
        bytes([16, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_contradictions_are_refused(payload):
    with pytest.raises(BitstreamError):
        apply_escape(payload, np.ones((5, 3), np.float32), 0.1)
