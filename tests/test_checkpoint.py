import json

import pytest
import torch
from safetensors.torch import save_file

from loopyvq.checkpoint import (
    load_prior,
    load_tokenizer,
    load_weights,
    model_identity,
    read_tensors,
    save_prior,
    save_tokenizer,
    write_atomically,
    write_tensors,
)
from loopyvq.errors import BitstreamError, CheckpointError
from loopyvq.models import TamingConfig, Tokenizer
from loopyvq.models.flat_prior import FlatPriorConfig
from loopyvq.models.taming import plain_quantizer
from loopyvq.models.taming.prior import TamingPrior, TamingPriorConfig


@pytest.fixture
def saved(tmp_path, tiny_config):
    torch.manual_seed(0)
    tokenizer = Tokenizer(tiny_config).eval()
    save_tokenizer(tmp_path / "model.safetensors", tokenizer, step=3)
    return tokenizer, tmp_path / "model.safetensors"


def test_a_tokenizer_comes_back_to_the_last_bit(saved):
    tokenizer, path = saved
    loaded = load_tokenizer(path)
    assert loaded.config == tokenizer.config
    assert not loaded.training
    for name, tensor in tokenizer.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert model_identity(loaded) == model_identity(tokenizer)


def test_the_identity_tells_models_apart(saved, tiny_config):
    torch.manual_seed(1)
    assert model_identity(Tokenizer(tiny_config)) != model_identity(saved[0])


def test_a_run_folder_gives_its_best_model(saved, tmp_path):
    tokenizer, path = saved
    path.rename(tmp_path / "last.safetensors")
    assert model_identity(load_tokenizer(tmp_path)) == model_identity(tokenizer)
    torch.manual_seed(5)
    best = Tokenizer(tokenizer.config)
    save_tokenizer(tmp_path / "best.safetensors", best)
    assert model_identity(load_tokenizer(tmp_path)) == model_identity(best)


def test_missing_truncated_and_foreign_files(saved, tmp_path):
    _, path = saved
    with pytest.raises(CheckpointError, match="no file"):
        load_tokenizer(tmp_path / "none.safetensors")
    blob = path.read_bytes()
    for size in (0, 7, 100, len(blob) // 2, len(blob) - 1):
        path.write_bytes(blob[:size])
        with pytest.raises(CheckpointError, match="damaged"):
            load_tokenizer(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="not written by loopyvq"):
        load_tokenizer(path)


def test_kind_and_version_are_checked(tmp_path):
    path = tmp_path / "x.safetensors"
    write_tensors(path, "token file", {})
    with pytest.raises(CheckpointError, match="is a token file, not a tokenizer"):
        load_tokenizer(path)
    with pytest.raises(BitstreamError, match="not a model"):
        read_tensors(path, "model", BitstreamError)
    header = json.dumps({"format_version": 99, "kind": "tokenizer"})
    save_file({}, path, metadata={"loopyvq": header})
    with pytest.raises(CheckpointError, match="version 99"):
        load_tokenizer(path)


def test_a_config_that_does_not_fit_is_named(saved):
    tokenizer, path = saved
    state = tokenizer.state_dict()
    name = "encoder.stem.weight"
    write_tensors(path, "tokenizer", {k: v for k, v in state.items() if k != name}, config={})
    with pytest.raises(CheckpointError, match="lacks"):
        load_tokenizer(path)
    write_tensors(path, "tokenizer", state, config={"no_such_option": 1})
    with pytest.raises(CheckpointError, match="no_such_option"):
        load_tokenizer(path)
    write_tensors(path, "tokenizer", state)
    with pytest.raises(CheckpointError, match="config"):
        load_tokenizer(path)


def test_every_architecture_comes_back_and_an_unknown_one_is_named(tmp_path):
    path = tmp_path / "model.safetensors"
    config = TamingConfig(
        base_channels=32, multipliers=(1,), attention_levels=(), quantizer=plain_quantizer(8, 4)
    )
    save_tokenizer(path, Tokenizer(config))
    assert load_tokenizer(tmp_path).config == config
    tensors, header = read_tensors(path, "tokenizer")
    write_tensors(path, "tokenizer", tensors, architecture="newer", config=header["config"])
    with pytest.raises(CheckpointError, match="architecture newer"):
        load_tokenizer(path)


def test_a_file_without_an_architecture_is_of_the_first_one(saved):
    tokenizer, path = saved
    tensors, header = read_tensors(path, "tokenizer")
    write_tensors(path, "tokenizer", tensors, config=header["config"])
    assert model_identity(load_tokenizer(path)) == model_identity(tokenizer)


def test_a_prior_comes_back_to_the_last_bit(tmp_path):
    sizes = FlatPriorConfig(vocabulary_size=8, context_length=6, layers=1, heads=2, width=4)
    prior = TamingPrior(TamingPriorConfig(permuted_sites=3, prior=sizes))
    save_prior(tmp_path / "prior.safetensors", prior, step=3)
    loaded = load_prior(tmp_path)
    assert loaded.config == prior.config
    assert not loaded.training
    for name, tensor in prior.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    write_tensors(tmp_path / "x", "prior", {}, architecture="newer", config={})
    with pytest.raises(CheckpointError, match="cannot read: its architecture is newer"):
        load_prior(tmp_path / "x")
    with pytest.raises(CheckpointError, match="no file"):
        load_prior(tmp_path / "none")


def test_wrong_names_and_shapes_load_nothing():
    layer = torch.nn.Linear(2, 2)
    before = layer.weight.clone()
    good = layer.state_dict()
    for bad, message in (
        ({"weight": good["weight"]}, "lacks bias"),
        ({**good, "extra": good["bias"]}, "also has extra"),
        ({**good, "weight": torch.zeros(3, 2)}, r"weight is \(3, 2\), expected \(2, 2\)"),
    ):
        with pytest.raises(CheckpointError, match=message):
            load_weights(layer, bad, "file")
    assert torch.equal(layer.weight, before)


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("loopyvq.checkpoint.os.fsync", fail)
    with pytest.raises(CheckpointError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]
