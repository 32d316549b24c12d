import json

import pytest
import torch
from safetensors.torch import save_file

from loopyvq.checkpoint import (
    load_prior,
    load_tokenizer,
    load_tokenizer_of,
    load_weights,
    model_identity,
    prior_source,
    save_prior,
    save_tokenizer,
)
from loopyvq.config import config_to_dict
from loopyvq.data.token_source import TokenSource
from loopyvq.errors import BitstreamError, CheckpointError
from loopyvq.models import TamingConfig, Tokenizer
from loopyvq.models.prior.attention import TransformerConfig
from loopyvq.models.prior.condition_embedding import ConditionConfig
from loopyvq.models.prior.flat_prior import FlatPriorConfig
from loopyvq.models.prior.site_prior import SitePrior, SitePriorConfig
from loopyvq.models.taming import plain_quantizer
from loopyvq.models.taming.prior import TamingPrior, TamingPriorConfig
from loopyvq.tensor_file import read_tensors, write_tensors


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
    config = config_to_dict(tokenizer.config)
    write_tensors(path, "tokenizer", {k: v for k, v in state.items() if k != name}, config=config)
    with pytest.raises(CheckpointError, match=f"lacks {name}"):
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


@pytest.fixture
def site_prior():
    small = TransformerConfig(width=8, layers=1, heads=2)
    return SitePrior(SitePriorConfig(codebook_size=5, max_depth=2, transformer=small, depth=small))


def test_a_prior_knows_its_tokenizer(saved, site_prior, tmp_path):
    tokenizer, path = saved
    source = TokenSource(model_identity(tokenizer), "../model.safetensors", 16, 4, threshold=0.3)
    save_prior(tmp_path / "run" / "best.safetensors", site_prior, source, step=3)
    loaded = load_prior(tmp_path / "run")
    assert isinstance(loaded, SitePrior)
    assert loaded.config == site_prior.config
    assert prior_source(tmp_path / "run") == source
    assert model_identity(load_tokenizer_of(tmp_path / "run")) == source.tokenizer
    path.rename(tmp_path / "moved.safetensors")
    with pytest.raises(CheckpointError, match="no longer at"):
        load_tokenizer_of(tmp_path / "run")
    assert load_tokenizer_of(tmp_path / "run", tmp_path / "moved.safetensors").config
    torch.manual_seed(7)
    save_tokenizer(path, Tokenizer(tokenizer.config))
    with pytest.raises(CheckpointError, match=r"is the tokenizer .*; the tokens of .* are those"):
        load_tokenizer_of(tmp_path / "run")


def test_a_prior_without_a_source_says_so(saved, site_prior, tmp_path):
    tokenizer, path = saved
    file = tmp_path / "prior.safetensors"
    save_prior(file, site_prior)
    assert prior_source(file) is None
    with pytest.raises(CheckpointError, match="does not know its tokenizer: name it"):
        load_tokenizer_of(file)
    assert model_identity(load_tokenizer_of(file, path)) == model_identity(tokenizer)
    tensors, header = read_tensors(file, "prior")
    kept = {name: header[name] for name in ("architecture", "config")}
    write_tensors(file, "prior", tensors, source={"rows": "many"}, **kept)
    with pytest.raises(CheckpointError, match="does not say where its tokens come from"):
        prior_source(file)
    with pytest.raises(TypeError, match="Linear is none of the priors"):
        save_prior(file, torch.nn.Linear(1, 1))


def test_older_priors_still_load(tmp_path):
    told = ConditionConfig(classes=3)
    prior = SitePrior(SitePriorConfig(codebook_size=4, max_depth=2, condition=told))
    with torch.no_grad():
        prior.depth.odds.copy_(torch.randn(6))
    save_prior(tmp_path / "new.safetensors", prior)
    tensors, header = read_tensors(tmp_path / "new.safetensors", "prior")
    older = dict(tensors)
    older["depth.head.bias"] = older.pop("depth.odds")[0].clone()
    everywhere = older.pop("context.condition.classes.everywhere.weight")
    assert bool(everywhere.any())
    write_tensors(
        tmp_path / "old.safetensors",
        "prior",
        older,
        **{name: header[name] for name in ("architecture", "config", "notes")},
    )
    again = load_prior(tmp_path / "old.safetensors")
    assert torch.equal(again.depth.odds, prior.depth.odds)
    assert not bool(again.context.condition.classes.everywhere.weight.any())
