import pytest
import torch
from torch import nn

from loopyvq.errors import ConfigError
from loopyvq.models import Tokenizer
from loopyvq.training.optim import OptimConfig, build_optimizer, learning_rate_at


def test_the_rate_rises_falls_and_ends_where_it_should():
    config = OptimConfig(learning_rate=1.0, warmup_steps=10, final_share=0.1)
    rates = [learning_rate_at(step, step / 100, config) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) <= 1.0
    assert rates.index(max(rates)) in range(8, 12)
    assert rates[50] == pytest.approx(0.55)
    assert rates[100] == pytest.approx(0.1)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_only_weights_of_layers_decay(tiny_config):
    tokenizer = Tokenizer(tiny_config)
    decayed, kept = build_optimizer(tokenizer, OptimConfig()).param_groups
    assert decayed["weight_decay"] > 0
    assert kept["weight_decay"] == 0
    names = {id(parameter): name for name, parameter in tokenizer.named_parameters()}
    assert all(names[id(p)].endswith("weight") for p in decayed["params"])
    left = {names[id(p)] for p in kept["params"]}
    assert {"quantizer.gains.logits", "decoder.length_cue.weight"} <= left
    assert len(decayed["params"]) + len(kept["params"]) == len(names)


def test_frozen_parameters_are_left_out():
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    groups = build_optimizer(layer, OptimConfig()).param_groups
    assert [len(group["params"]) for group in groups] == [1, 0]
    assert torch.equal(groups[0]["params"][0], layer.weight)


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 0.0},
        {"warmup_steps": -1},
        {"final_share": 1.5},
        {"betas": (0.9, 1.0)},
        {"clip_norm": -1.0},
    ],
)
def test_values_out_of_range_are_refused(changes):
    with pytest.raises(ConfigError):
        OptimConfig(**changes)
