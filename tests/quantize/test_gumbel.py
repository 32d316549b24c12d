import math

import pytest
import torch

from loopyvq.errors import ConfigError
from loopyvq.models.taming import plain_quantizer
from loopyvq.quantize import LoopConfig
from loopyvq.quantize.gumbel import GumbelConfig, GumbelQuantizer
from loopyvq.tokens import PAD


@pytest.fixture
def quantizer():
    torch.manual_seed(0)
    return GumbelQuantizer(plain_quantizer(10, 4), GumbelConfig(kl_weight=0.5)).eval()


def test_evaluation_takes_the_best_score_without_noise(quantizer):
    z_e = torch.randn(3, 5, 4)
    found = quantizer(z_e)
    expected = quantizer.logits(z_e).argmax(dim=2)
    assert torch.equal(found.codes[..., 0], expected)
    assert torch.equal(quantizer.encode(z_e).codes, found.codes)
    assert torch.equal(found.z_q, quantizer.codebook.weight[expected])
    assert torch.equal(quantizer.decode(found.tokens), found.z_q)
    assert torch.allclose(found.residual_norm, (z_e - found.z_q).norm(dim=2), atol=1e-6)


def test_the_loss_is_the_divergence_from_uniform(quantizer):
    torch.nn.init.zeros_(quantizer.scores.weight)
    torch.nn.init.zeros_(quantizer.scores.bias)
    assert quantizer(torch.randn(7, 4)).loss.item() == pytest.approx(0.0, abs=1e-6)
    quantizer.scores.bias.data[3] = 1000.0
    assert quantizer(torch.randn(7, 4)).loss.item() == pytest.approx(0.5 * math.log(10), abs=1e-5)


def test_training_draws_codes_in_proportion_to_their_scores():
    quantizer = GumbelQuantizer(plain_quantizer(3, 2)).train()
    torch.nn.init.zeros_(quantizer.scores.weight)
    shares = torch.tensor([0.6, 0.3, 0.1])
    quantizer.scores.bias.data.copy_(shares.log())
    quantizer.generator = torch.Generator().manual_seed(0)
    codes = quantizer(torch.randn(20000, 2)).codes.flatten()
    assert torch.allclose(codes.bincount(minlength=3) / 20000, shares, atol=0.02)
    quantizer.generator = torch.Generator().manual_seed(0)
    assert torch.equal(quantizer(torch.randn(20000, 2)).codes.flatten(), codes)


@pytest.mark.parametrize("straight_through", [True, False])
def test_gradients_reach_scores_codes_and_latents(straight_through):
    torch.manual_seed(0)
    gumbel = GumbelConfig(straight_through=straight_through)
    quantizer = GumbelQuantizer(plain_quantizer(6, 4), gumbel).train()
    z_e = torch.randn(9, 4, requires_grad=True)
    found = quantizer(z_e)
    (found.z_q.square().sum() + found.loss).backward()
    for tensor in (z_e, quantizer.scores.weight, quantizer.codebook.weight):
        assert tensor.grad.abs().sum() > 0
    hard = torch.allclose(found.z_q, quantizer.decode(found.tokens), atol=1e-6)
    assert hard == straight_through


def test_a_low_temperature_makes_the_mixture_hard():
    torch.manual_seed(0)
    gumbel = GumbelConfig(temperature=1e-5, straight_through=False)
    quantizer = GumbelQuantizer(plain_quantizer(6, 4), gumbel).train()
    found = quantizer(torch.randn(9, 4))
    assert torch.allclose(found.z_q, quantizer.decode(found.tokens), atol=1e-4)


def taming_temperature(step, start, highest, lowest, warmup, decay):
    """The schedule of taming: a linear rise, then half a cosine."""
    if step < warmup:
        return (highest - start) / warmup * step + start
    share = min((step - warmup) / (decay - warmup), 1.0)
    return lowest + 0.5 * (highest - lowest) * (1 + math.cos(share * math.pi))


@pytest.mark.parametrize("step", [0, 3, 9, 10, 60, 109, 110, 500])
def test_the_temperature_follows_the_schedule_of_taming(step):
    config = GumbelConfig(
        0.9, final_temperature=1e-6, decay_steps=110, warmup_steps=10, first_temperature=0.2
    )
    expected = taming_temperature(step, 0.2, 0.9, 1e-6, 10, 110)
    assert config.temperature_at(step) == pytest.approx(expected)
    assert GumbelConfig(0.7).temperature_at(step) == 0.7


def test_the_temperature_falls_with_every_step_and_survives_a_checkpoint():
    gumbel = GumbelConfig(1.0, final_temperature=0.1, decay_steps=4)
    quantizer = GumbelQuantizer(plain_quantizer(6, 4), gumbel).train()
    quantizer.automatic_update = False
    seen = []
    for _ in range(3):
        for _ in range(2):  # two passes make one step
            quantizer(torch.randn(5, 4))
        seen.append(quantizer.temperature)
        quantizer.update()
        quantizer.update()  # without a pass in between nothing happens
    assert seen == [gumbel.temperature_at(step) for step in range(3)]
    again = GumbelQuantizer(plain_quantizer(6, 4), gumbel)
    again.load_state_dict(quantizer.state_dict())
    assert again.temperature == gumbel.temperature_at(3) < seen[-1]
    quantizer.eval()(torch.randn(5, 4))
    quantizer.freeze().train()(torch.randn(5, 4))
    quantizer.update()
    assert quantizer.temperature == gumbel.temperature_at(3)


def test_training_does_not_restart_the_codebook_from_data():
    quantizer = GumbelQuantizer(plain_quantizer(6, 4)).train()
    before = quantizer.codebook.weight.detach().clone()
    quantizer(torch.randn(50, 4))
    assert torch.equal(quantizer.codebook.weight, before)


def test_masked_sites_and_a_depth_of_nothing_get_no_token(quantizer):
    z_e = torch.randn(4, 4)
    z_e[3] = torch.nan
    mask = torch.tensor([True, False, True, True])
    found = quantizer(z_e, depth=torch.tensor([1, 1, 0, 1]), mask=mask)
    assert found.lengths.tolist() == [1, 0, 0, 0]
    assert found.codes[1:].eq(PAD).all()
    assert found.z_q[1:].eq(0).all()
    assert found.loss.isfinite()


def test_half_precision_scores_in_float32(quantizer):
    z_e = torch.randn(200, 4).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        codes = quantizer.encode(z_e).codes
    assert torch.equal(codes, quantizer.encode(z_e.float()).codes)


def test_options_that_cannot_be_say_why(quantizer):
    with pytest.raises(ConfigError, match="temperature must be above 0"):
        GumbelConfig(temperature=0.0)
    with pytest.raises(ConfigError, match="final_temperature must be above 0"):
        GumbelConfig(final_temperature=-1.0)
    with pytest.raises(ConfigError, match="decay_steps must be 0 or more"):
        GumbelConfig(decay_steps=-1)
    with pytest.raises(ConfigError, match="above warmup_steps = 5, got 5"):
        GumbelConfig(decay_steps=5, warmup_steps=5)
    with pytest.raises(ConfigError, match="kl_weight must be 0 or more"):
        GumbelConfig(kl_weight=-1.0)
    with pytest.raises(ConfigError, match="needs max_depth 1"):
        GumbelQuantizer(LoopConfig())
    with pytest.raises(ConfigError, match="is not ema"):
        GumbelQuantizer(LoopConfig(max_depth=1, threshold=0.0, dummies=False, scale="absolute"))
    with pytest.raises(ValueError, match="codebook_dim = 4"):
        quantizer(torch.zeros(2, 5))
