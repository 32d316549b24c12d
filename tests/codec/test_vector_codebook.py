import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopyvq.codec.vector_codebook import (
    VectorCodebook,
    codebook_of,
    fit_codebook,
    read_codebook,
    write_codebook,
)
from loopyvq.coding import encode_floats
from loopyvq.errors import BitstreamError, ConfigError


def test_a_codebook_comes_back_as_it_was():
    vectors = np.random.default_rng(0).normal(size=(200, 3)) * 1e5
    for book in (fit_codebook(vectors, 16), codebook_of(vectors[:9], max_depth=3)):
        back = read_codebook(write_codebook(book))
        assert np.array_equal(back.codes, book.codes)
        assert np.array_equal(back.gains, book.gains)
        assert (back.sigma, back.identity) == (book.sigma, book.identity)


def test_decoding_is_the_sum_of_the_codes():
    book = VectorCodebook(np.float32([[1, 2], [3, 4]]), np.float32([1, 0.5]), 2.0)
    tokens = np.array([[0, 1], [-2, 0], [-1, -1]])
    assert book.decode(tokens).tolist() == [[5, 8], [1, 2], [0, 0]]


def test_the_loop_finds_what_the_codebook_decodes():
    import torch

    vectors = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    book = fit_codebook(vectors, 16)
    quantizer = book.quantizer()
    tokens = quantizer.encode(torch.from_numpy(vectors / np.float32(book.sigma)), 0.3)
    decoded = quantizer.decode(tokens).numpy() * book.sigma
    assert np.allclose(decoded, book.decode(tokens.codes.numpy()), atol=1e-5)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_codebook_or_a_bitstream_error(payload):
    try:
        book = read_codebook(payload)
    except BitstreamError:
        return
    assert book.codes.size


def test_contradictions_are_refused():
    one = np.ones((2, 2), np.float32)
    for arrays in (
        [one],
        [one, one[0], one],
        [one, one[0], np.float32(0)],
        [one, one[0], -one[0, 0]],
    ):
        with pytest.raises(BitstreamError):
            read_codebook(encode_floats([np.asarray(array) for array in arrays]))
    for codes in (np.zeros((0, 2)), np.full((2, 2), np.inf), np.zeros(3)[None, :0]):
        with pytest.raises(ConfigError, match="finite"):
            codebook_of(codes)
