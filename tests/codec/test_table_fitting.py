import pytest

import loopyvq.codec.table_fitting as module
from loopyvq.codec import Codec, fit_tables_to_images
from loopyvq.coding.fit import NARROW
from loopyvq.errors import DataError
from tests.codec.conftest import make_image, make_tokenizer


@pytest.fixture
def asked(monkeypatch, tables):
    """What `fit_tables` is asked for."""
    calls = []

    def fit(samples, *rest, widths=NARROW):
        calls.append((samples, (*rest, widths)))
        return tables

    monkeypatch.setattr(module, "fit_tables", fit)
    return calls


def test_the_second_fit_learns_mostly_from_what_the_first_made_cheap(tokenizer, asked):
    fit_tables_to_images(tokenizer, [make_image(24, 33), make_image(16, 16)], seed=7)
    (first, (codes, gains, seed, *_)), (second, (*_, examples, widths)) = asked
    assert [sample.lengths.shape for sample in first] == [(3, 5)] * 3 + [(2, 2)] * 3
    assert (codes.shape, gains.shape, seed) == ((16, 4), (4,), 7)
    assert max(sample.lengths.max() for sample in first) > 0
    assert [sample.lengths.shape for sample in second] == [
        *[(3, 5)] * 3,
        *[(2, 2)] * 3,
        (3, 5),
        (2, 2),
    ]
    assert (examples, widths) == (400_000, NARROW)


def test_only_tables_that_are_kept_are_wide(tokenizer, asked):
    fit_tables_to_images(tokenizer, [make_image(16, 16)], widths=(9, 8))
    assert [rest[-1] for _, rest in asked] == [NARROW, (9, 8)]


def test_equal_lengths_have_prices_too(asked):
    fit_tables_to_images(make_tokenizer(), [make_image(24, 1600)], fixed_depth=True)
    (first, _), (second, _) = asked
    assert [sample.lengths.shape for sample in first] == [(3, 96)]
    assert first[0].lengths.min() == 4
    assert len(second) == 4
    for sample in second:
        assert sample.lengths.min() == sample.lengths.max()
    assert any((sample.codes != first[0].codes).any() for sample in second)


def test_tables_of_both_fits_make_files_smaller(tokenizer):
    images = [make_image(48, 48, seed=seed) for seed in range(12)]
    tables = fit_tables_to_images(tokenizer, images[:11])
    plain, fitted = Codec(tokenizer), Codec(tokenizer, tables)
    assert len(fitted.compress(images[11], 0.2)) < len(plain.compress(images[11], 0.2))


def test_some_image_is_needed(tokenizer):
    with pytest.raises(DataError, match="at least one"):
        fit_tables_to_images(tokenizer, [])
