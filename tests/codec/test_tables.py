import numpy as np
import pytest

from loopyvq.checkpoint import load_tokenizer, model_identity, save_tokenizer
from loopyvq.codec import Codec, load_tables, save_tables
from loopyvq.codec.tables import coding_identity
from loopyvq.errors import CheckpointError
from loopyvq.tensor_file import read_tensors, write_tensors
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
