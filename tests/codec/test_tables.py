import numpy as np
import pytest
import torch

from loopyvq.checkpoint import (
    load_tokenizer,
    model_identity,
    read_tensors,
    save_tokenizer,
    write_tensors,
)
from loopyvq.codec import Codec, fit_tables_to_images, load_tables, save_tables
from loopyvq.codec.tables import coding_identity
from loopyvq.errors import CheckpointError, DataError
from tests.codec.conftest import make_image, make_tokenizer


def test_tables_live_beside_the_weights(tokenizer, tables, tmp_path):
    path = tmp_path / "model.safetensors"
    save_tokenizer(path, tokenizer, step=7)
    assert load_tables(path) is None
    save_tables(path, tables)
    save_tables(path, tables)
    found = load_tables(path)
    for name, array in tables.to_arrays().items():
        assert np.array_equal(found.to_arrays()[name], array)
    assert model_identity(load_tokenizer(path)) == model_identity(tokenizer)
    assert read_tensors(path, "tokenizer").header["notes"] == {"step": 7}
    image = make_image(24, 30)
    assert Codec.load(path).compress(image, 0.2) == Codec(tokenizer, tables).compress(image, 0.2)


def test_identities_differ_by_tables(tokenizer, tables):
    plain = coding_identity(tokenizer, None)
    assert coding_identity(make_tokenizer(), None) == plain
    longer = make_tokenizer()
    object.__setattr__(longer.config, "image_channels", 1)
    assert coding_identity(longer, None) != plain
    changed = tables._replace(gains=tables.gains + 1)
    assert (
        len({plain, coding_identity(tokenizer, tables), coding_identity(tokenizer, changed)}) == 3
    )


def test_damaged_tables_are_a_checkpoint_error(tokenizer, tables, tmp_path):
    path = tmp_path / "model.safetensors"
    save_tokenizer(path, tokenizer)
    save_tables(path, tables)
    tensors, header = read_tensors(path, "tokenizer")
    del tensors["coding.gains"], header["kind"], header["format_version"]
    write_tensors(path, "tokenizer", tensors, **header)
    with pytest.raises(CheckpointError, match="tables are incomplete"):
        load_tables(path)


def test_tables_are_fitted_to_images(tables, monkeypatch):
    import loopyvq.codec.tables as module

    asked = []

    def fit(samples, *rest):
        asked.append((samples, rest))
        return tables

    monkeypatch.setattr(module, "fit_tables", fit)
    tokenizer = make_tokenizer()
    fit_tables_to_images(tokenizer, [make_image(24, 33), make_image(16, 16)])
    samples, (codes, gains, seed) = asked[0]
    assert [sample.lengths.shape for sample in samples] == [(3, 5)] * 3 + [(2, 2)] * 3
    assert (codes.shape, gains.shape, seed) == ((16, 4), (4,), 0)
    assert torch.tensor([sample.lengths.max() for sample in samples]).max() > 0
    fit_tables_to_images(tokenizer, [make_image(24, 1600)], fixed_depth=True)
    (sample,) = asked[1][0]
    assert sample.lengths.shape == (3, 96)
    assert sample.lengths.min() == sample.lengths.max() == 4
    with pytest.raises(DataError, match="at least one"):
        fit_tables_to_images(tokenizer, [])
