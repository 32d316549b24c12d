import logging
import math

import pytest
import torch
from torch import nn

from loopyvq.checkpoint import load_prior, prior_source
from loopyvq.data.token_batch import PackedTokens, TokenBatch
from loopyvq.models.prior.attention import Transformer
from loopyvq.models.prior.base import TokenNats
from loopyvq.models.prior.condition_embedding import ConditionConfig
from loopyvq.models.priors import PRIORS
from loopyvq.training.optim import build_optimizer
from loopyvq.training.prior_task import HeldOut, PriorTask, nats_of
from tests.training.prior_tokens import SOURCE, patterned_tokens, tiny_prior_training


class Told(nn.Module):
    """A prior that costs one nat per code and half a nat per length, and notes what it is given."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.config = type("Config", (), {"condition": ConditionConfig(2, dropout=dropout)})
        self.price = nn.Parameter(torch.ones(()))
        self.dropped = []

    def forward(self, tokens, condition=None, dropped=None):
        self.dropped.append(dropped)
        lengths = tokens.lengths.float()
        return TokenNats(self.price * lengths, 0.5 * torch.ones_like(lengths))


def batch(images=10, seed=0):
    return TokenBatch(*patterned_tokens(images, seed))


def test_the_loss_is_the_mean_nats_of_a_site_and_is_taken_apart():
    task = PriorTask(tiny_prior_training(), Told(), SOURCE)
    given = batch()
    loss = task.loss(task.model, given, torch.Generator().manual_seed(0))
    mean = float(given.tokens.lengths.float().mean())
    assert float(loss.detach()) == pytest.approx(mean + 0.5)
    loss.backward()
    assert float(task.prior.price.grad) == pytest.approx(mean)
    values, shown = task.measure()
    assert values["nats_per_site"] == pytest.approx(mean + 0.5)
    assert values["nats_per_token"] == pytest.approx((mean + 0.5) / mean)
    pixels_per_site = 144 / 9
    assert values["code_bpp"] == pytest.approx(mean / math.log(2) / pixels_per_site)
    assert values["stop_bpp"] == pytest.approx(0.5 / math.log(2) / pixels_per_site)
    assert values["rate_bpp"] == pytest.approx(values["code_bpp"] + values["stop_bpp"])
    assert values["mean_length"] == pytest.approx(mean)
    assert "bpp" in shown


def test_before_a_step_there_is_nothing_to_measure():
    assert PriorTask(tiny_prior_training(), Told(), SOURCE).measure() == ({}, {})


def test_the_condition_is_withheld_from_the_configured_share():
    prior = Told(dropout=0.25)
    task = PriorTask(tiny_prior_training(), prior, SOURCE)
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        task.loss(prior, batch(50), generator)
    share = torch.cat(prior.dropped).float().mean()
    assert 0.22 < float(share) < 0.28
    first = [item.clone() for item in prior.dropped[:2]]
    prior.dropped.clear()
    task.loss(prior, batch(50), torch.Generator().manual_seed(0))
    assert torch.equal(prior.dropped[0], first[0])


def test_dropout_is_a_function_of_the_generator():
    config = tiny_prior_training("--site.transformer.residual_dropout", "0.5")
    torch.manual_seed(0)
    prior = PRIORS["site"].model(config.prior_for(SOURCE))
    task = PriorTask(config, prior, SOURCE)
    first, again, other = (
        float(task.loss(prior, batch(), torch.Generator().manual_seed(seed)).detach())
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_validation_compares_unseen_with_seen_and_warns_of_learning_by_heart(caplog):
    unseen, seen = (PackedTokens.pack(*patterned_tokens(20, seed)) for seed in (0, 1))

    class Memory(Told):
        def forward(self, tokens, condition=None, dropped=None):
            nats = super().forward(tokens, condition, dropped)
            known = torch.equal(tokens.codes[:4], seen.select(range(4)).tokens.codes)
            return TokenNats(nats.code * (0.5 if known else 1.0), nats.stop)

    config = tiny_prior_training("--run.batch_size", "20")
    task = PriorTask(config, Memory(), SOURCE, HeldOut(unseen, seen))
    with caplog.at_level(logging.WARNING):
        found = task.validate(task.model.eval())
        task.validate(task.model)
    assert found.unit == " nats"
    assert found.score == -found.values["validation_nats_per_site"]
    assert found.values["training_nats_per_site"] < found.values["validation_nats_per_site"]
    assert found.values["gap_share"] > 0.1
    assert [record.message for record in caplog.records if "learns by heart" in record.message][
        1:
    ] == []
    assert "learns by heart" in caplog.text
    assert PriorTask(config, Memory(), SOURCE).validate(task.model) is None


def test_the_nats_of_images_do_not_depend_on_the_batch():
    config = tiny_prior_training()
    torch.manual_seed(0)
    prior = PRIORS["site"].model(config.prior_for(SOURCE)).eval()
    packed = PackedTokens.pack(*patterned_tokens(7))
    whole, parts = nats_of(prior, packed, SOURCE, 7), nats_of(prior, packed, SOURCE, 3)
    assert parts.code == pytest.approx(whole.code, rel=1e-5)
    assert parts[2:] == whole[2:] == (63, packed.codes.numel(), 7 * 144)
    some = nats_of(prior, packed, SOURCE, 2, torch.tensor([1, 4]))
    alone = sum(nats_of(prior, packed, SOURCE, 2, torch.tensor([row])).code for row in (1, 4))
    assert some.code == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("kind", ["site", "flat"])
def test_no_position_is_filler(kind):
    """Every position that a transformer reads belongs to a site or to a symbol of one."""
    config = tiny_prior_training("--kind", kind)
    prior = PRIORS[kind].model(config.prior_for(SOURCE))
    read = {}

    def note(name):
        def hook(module, given):
            read[name] = read.get(name, 0) + given[0].shape[0] * given[0].shape[1]

        return hook

    for name, module in prior.named_modules():
        if isinstance(module, Transformer):
            module.register_forward_pre_hook(note(name))
    tokens, condition = patterned_tokens(10)
    prior(tokens, condition)
    symbols = int((tokens.lengths + (tokens.lengths < 3)).sum())
    # A site without tokens still says STOP; at most a start and a class are added per image.
    if kind == "site":
        assert read["depth.transformer"] == symbols
        assert 90 <= read["context.transformer"] <= 90 + 20
    else:
        most = int((tokens.lengths + 1).sum()) + 20
        assert symbols - 10 <= read["transformer"] <= most


@pytest.mark.parametrize("kind", ["site", "flat"])
def test_only_weights_of_layers_decay(kind):
    config = tiny_prior_training("--kind", kind, "--flat.tied", "true")
    prior = PRIORS[kind].model(config.prior_for(SOURCE))
    decayed, kept = build_optimizer(prior, config.optim).param_groups
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.05, 0.0)
    layers = {id(m.weight) for m in prior.modules() if isinstance(m, nn.Linear | nn.Conv2d)}
    assert {id(weight) for weight in decayed["params"]} == layers
    names = {id(weight): name for name, weight in prior.named_parameters()}
    spared = [names[id(weight)] for weight in kept["params"]]
    assert len(spared) + len(layers) == len(names)
    assert any("norm" in name for name in spared)
    assert any(name.endswith("bias") for name in spared)
    embeddings = {id(m.weight) for m in prior.modules() if isinstance(m, nn.Embedding)}
    assert embeddings <= {id(weight) for weight in kept["params"]}


def test_a_saved_prior_knows_its_tokens(tmp_path):
    config = tiny_prior_training()
    task = PriorTask(config, PRIORS["site"].model(config.prior_for(SOURCE)), SOURCE)
    task.save(tmp_path / "best.safetensors", task.model, 3)
    assert load_prior(tmp_path).config == task.prior.config
    assert prior_source(tmp_path) == SOURCE
    assert task.networks() == ()
    task.after_step()
