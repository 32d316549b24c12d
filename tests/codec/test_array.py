from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopyvq.codec import codebook_of, compress_array, decompress_array, fit_codebook
from loopyvq.codec.limits import ReadingLimits
from loopyvq.codec.vector_codebook import VectorCodebook
from loopyvq.coding import read_container, write_container
from loopyvq.errors import BitstreamError, ConfigError, DataError
from tests.codec.conftest import mutations

GOLDEN = Path(__file__).parents[1] / "golden" / "arrays"


def make_vectors(count=300, width=6, dtype=np.float32, scale=1.0):
    generator = np.random.default_rng(count)
    energies = np.exp(generator.normal(size=(count, 1)))
    return (generator.normal(size=(count, width)) * energies * scale).astype(dtype)


def worst(vectors, decoded):
    difference = vectors.astype(np.float64) - decoded
    return float(np.linalg.norm(difference, axis=1).max(initial=0.0))


@given(
    count=st.integers(0, 50),
    width=st.integers(1, 9),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    share=st.sampled_from([0.001, 0.1, 3.0]),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_every_vector_is_within_the_bound(count, width, dtype, share, scale):
    vectors = make_vectors(count, width, dtype, scale)
    bound = share * scale
    decoded = decompress_array(compress_array(vectors, bound))
    assert decoded.shape == vectors.shape
    assert decoded.dtype == np.float32
    assert worst(vectors, decoded) <= bound


def test_float32_is_kept_exactly_where_asked_for():
    vectors = make_vectors(20)
    assert np.array_equal(decompress_array(compress_array(vectors, 0.0)), vectors)
    with pytest.raises(ConfigError, match="allow at least"):
        compress_array(vectors.astype(np.float64) * 1.1, 0.0)


def test_a_codebook_can_be_given_and_referred_to():
    vectors = make_vectors()
    book = fit_codebook(vectors, 32)
    stored = compress_array(vectors, 0.2, codebook=book)
    referring = compress_array(vectors, 0.2, codebook=book, store_codebook=False)
    assert len(referring) < len(stored) - 300
    decoded = decompress_array(referring, codebook=book)
    assert np.array_equal(decoded, decompress_array(stored))
    for wrong in (None, codebook_of(vectors[:8])):
        with pytest.raises(BitstreamError, match="refers to the codebook"):
            decompress_array(referring, codebook=wrong)
    with pytest.raises(ConfigError, match="codes of width 6"):
        compress_array(vectors[:, :5], 0.2, codebook=book)
    with pytest.raises(ConfigError, match="that is given"):
        compress_array(vectors, 0.2, store_codebook=False)


@pytest.mark.parametrize("mode", ["padded", "packed", "run_length", "adaptive", "context"])
def test_modes_and_prefixes(mode):
    vectors = make_vectors(60)
    data = compress_array(vectors, 0.05, mode=mode)
    errors = [worst(vectors, decompress_array(data, turns=turns)) for turns in range(5)]
    assert errors[0] > errors[2] > errors[4] > worst(vectors, decompress_array(data))
    if mode != "run_length":
        cut = decompress_array(data[: len(data) // 2], partial=True)
        assert cut.shape == vectors.shape
    with pytest.raises(BitstreamError):
        decompress_array(data[: len(data) // 2])


def test_bad_arrays_are_refused():
    for bad in (np.zeros(3), np.zeros((2, 2), int), np.full((1, 1), np.nan), np.zeros((3, 0))):
        with pytest.raises(DataError):
            compress_array(bad, 0.1)
    with pytest.raises(DataError, match="finite"):
        compress_array(np.full((2, 2), 1e39), 0.1)
    for error in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError):
            compress_array(np.ones((2, 2)), error)
    with pytest.raises(ConfigError, match="turns"):
        decompress_array(b"", turns=-1)


def test_a_header_is_checked_before_anything_is_allocated():
    container = read_container(compress_array(make_vectors(20), 0.1))
    header, chunks = container
    cases = [
        header._replace(height=1 << 31),
        header._replace(width=7),
        header._replace(width=0),
        header._replace(channels=3),
        header._replace(max_depth=1 << 30),
        header._replace(max_depth=7),
        header._replace(mode="static"),
    ]
    for case in cases:
        with pytest.raises(BitstreamError):
            decompress_array(write_container(case, chunks))
    with pytest.raises(BitstreamError, match="no codebook"):
        decompress_array(write_container(header, chunks[1:]))
    with pytest.raises(BitstreamError, match="allowed 5"):
        decompress_array(write_container(*container), limits=ReadingLimits(max_tokens=5))


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.lvq")), ids=lambda path: path.stem)
def test_golden_files_and_their_mutations(path):
    data = path.read_bytes()
    expected = np.load(path.with_suffix(".npy"))
    assert np.array_equal(decompress_array(data), expected)
    for broken in mutations(data, 60):
        try:
            decoded = decompress_array(broken)
        except BitstreamError:
            continue
        assert decoded.shape == expected.shape
        assert np.isfinite(decoded).all()


def test_there_are_golden_files():
    assert len(list(GOLDEN.glob("*.lvq"))) >= 4


def test_codes_are_those_that_a_file_can_hold():
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(3000, 3)).astype(np.float32)
    gains = (np.float32(0.75) ** np.arange(8)).astype(np.float32)
    book = VectorCodebook(generator.normal(size=(64, 3)).astype(np.float32), gains, 1.0)
    for stored in (True, False):
        data = compress_array(vectors, 0.01, codebook=book, store_codebook=stored)
        error = np.linalg.norm(decompress_array(data, book) - vectors, axis=1)
        assert error.max() <= 0.01


def test_codebooks_that_fit_no_file():
    vectors = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    with pytest.raises(ConfigError, match="1 to 255 turns, got 256"):
        compress_array(vectors, 0.1, codebook=codebook_of(vectors, 256, 0.98))
    with pytest.raises(ConfigError, match="fits no file"):
        compress_array(vectors, 0.1, codebook=codebook_of(vectors)._replace(sigma=-1.0))
    with pytest.raises(ConfigError, match="seed must be 0 or more"):
        compress_array(vectors, 0.1, seed=-1)
    for bad in (vectors[:0], vectors * np.nan):
        with pytest.raises(ConfigError, match="vectors must be finite"):
            fit_codebook(bad, 4)
    for ratio in (-1.0, 0.0, 2.0):
        with pytest.raises(ConfigError, match="ratio within"):
            codebook_of(vectors, ratio=ratio)
