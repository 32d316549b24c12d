import argparse

import pytest
import torch

from loopyvq.cli.options import add_device, add_model, add_strict, load_model
from loopyvq.errors import CheckpointError, ConfigError


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


@pytest.mark.parametrize("device", ["abacus", "cuda:99", "meta:x"])
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
