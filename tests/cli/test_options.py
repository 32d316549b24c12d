import argparse
from dataclasses import replace

import pytest
import torch

from loopyvq.checkpoint import save_tokenizer
from loopyvq.cli.options import add_device, add_model, add_strict, load_model
from loopyvq.errors import CheckpointError, ConfigError
from loopyvq.models import Tokenizer


def test_shared_options_have_defaults(workspace):
    parser = argparse.ArgumentParser()
    add_model(parser)
    add_device(parser)
    add_strict(parser)
    arguments = parser.parse_args([str(workspace / "run")])
    assert (arguments.device, arguments.strict) == ("auto", False)
    tokenizer = load_model(arguments)
    assert not tokenizer.training
    assert tokenizer.quantizer.sigma.device.type in ("cpu", "cuda")


@pytest.mark.parametrize("device", ["abacus", "cuda:99", "meta:x", "meta", "hpu"])
def test_devices_that_are_not_there(workspace, device):
    with pytest.raises(ConfigError, match="no device"):
        load_model(argparse.Namespace(model=str(workspace / "run"), device=device))


def test_the_model_is_checked_too(tmp_path):
    with pytest.raises(CheckpointError):
        load_model(argparse.Namespace(model=str(tmp_path), device="cpu"))


@pytest.mark.gpu
def test_a_gpu_is_taken_where_there_is_one(workspace):
    assert torch.cuda.is_available()
    arguments = argparse.Namespace(model=str(workspace / "run"), device="auto")
    assert load_model(arguments).quantizer.sigma.device.type == "cuda"


@pytest.fixture
def pulling(tmp_path, tiny_config):
    loop = replace(tiny_config.quantizer, transform="pull")
    save_tokenizer(tmp_path / "pull.safetensors", Tokenizer(replace(tiny_config, quantizer=loop)))
    return tmp_path / "pull.safetensors"


@pytest.mark.parametrize(
    "asked", [{"stop": "rate_distortion"}, {"min_length": 2}, {"min_length": -1}]
)
def test_a_pull_refuses_what_it_cannot_do(pulling, asked):
    with pytest.raises(ConfigError, match=r"pull|within 0"):
        load_model(argparse.Namespace(model=str(pulling), device="cpu", **asked))


def test_the_least_length_reaches_the_quantizer(workspace):
    model = str(workspace / "run")
    asked = argparse.Namespace(model=model, device="cpu", min_length=2, stop="rate_distortion")
    quantizer = load_model(asked).quantizer
    assert (quantizer.min_length, quantizer.stop) == (2, "rate_distortion")
    with pytest.raises(ConfigError, match=r"within 0\.\.4 for this model, got 5"):
        load_model(argparse.Namespace(model=model, device="cpu", min_length=5))
