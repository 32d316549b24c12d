import numpy as np
import pytest

from loopyvq.coding import CodedTokens, encode_tokens, fit_tables
from tests.coding.conftest import make_tokens


def num_bytes(tokens, size, mode, tables=None):
    return sum(map(len, encode_tokens(*tokens, size, mode, tables)))


def test_fitted_tables_make_like_tokens_smaller(tables):
    tokens = make_tokens((24, 32), 4, 9, 99, "smooth", 0.1)
    sizes = [
        num_bytes(tokens, 9, "padded"),
        num_bytes(tokens, 9, "packed"),
        num_bytes(tokens, 9, "static", tables),
        num_bytes(tokens, 9, "context", tables),
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[3] < 0.5 * sizes[1]


def test_a_wide_codebook_is_turned_to_its_main_axes():
    codebook = np.random.default_rng(0).normal(size=(5, 40))
    tables = fit_tables([make_tokens((4, 4), 2, 5, 0)], codebook, np.ones(2), epochs=1)
    assert tables.codebook.shape == (5, 24)


def test_networks_have_the_widths_that_are_asked_for():
    tokens = [make_tokens((4, 4), 3, 5, 0, "full", 0.0)]
    tables = fit_tables(tokens, np.ones((5, 2)), np.ones(3), epochs=1, widths=(6, 4))
    assert [len(network.first.bias) for network in tables.networks] == [6, 4, 4]
    assert [network.last.weights.shape for network in tables.networks] == [(7, 6), (7, 4), (7, 4)]


def test_without_examples_there_are_still_tables():
    empty = CodedTokens(np.zeros((0, 3, 2), np.int64), np.zeros((0, 3), np.int64))
    for samples in ([], [empty]):
        tables = fit_tables(samples, np.zeros((3, 2)), np.ones(2))
        tokens = make_tokens((3, 3), 2, 3, 0)
        assert encode_tokens(*tokens, 3, "context", tables)


def test_samples_must_fit():
    tokens = make_tokens((4, 4), 2, 5, 0, "full", 0.0)
    with pytest.raises(ValueError, match="h w 3"):
        fit_tables([tokens], np.ones((5, 2)), np.ones(3))
    with pytest.raises(ValueError, match="below 2"):
        fit_tables([tokens], np.ones((2, 2)), np.ones(2))
    with pytest.raises(ValueError, match="at least one"):
        fit_tables([], np.ones((0, 2)), np.ones(2))
