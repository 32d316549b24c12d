import math

import pytest
import torch

from loopyvq.errors import ConfigError
from loopyvq.losses.adversarial import (
    AdversarialConfig,
    Lecam,
    adaptive_weight,
    discriminator_loss,
    generator_loss,
    r1_penalty,
)

REAL, FAKE = torch.tensor([0.5, 2.0]), torch.tensor([-3.0, 0.5])


def test_hinge_and_vanilla_are_taming_formulas():
    assert discriminator_loss("hinge", REAL, FAKE) == pytest.approx(0.5 * (0.25 + 0.75))
    soft = [math.log1p(math.exp(value)) for value in (-0.5, -2.0, -3.0, 0.5)]
    wanted = 0.5 * (sum(soft[:2]) / 2 + sum(soft[2:]) / 2)
    assert discriminator_loss("vanilla", REAL, FAKE) == pytest.approx(wanted)
    for kind in ("hinge", "vanilla"):
        assert generator_loss(kind, FAKE) == pytest.approx(1.25)


def test_non_saturating_is_the_whole_sum():
    half = discriminator_loss("vanilla", REAL, FAKE)
    assert discriminator_loss("non_saturating", REAL, FAKE) == pytest.approx(2 * half)
    soft = (math.log1p(math.exp(3.0)) + math.log1p(math.exp(-0.5))) / 2
    assert generator_loss("non_saturating", FAKE) == pytest.approx(soft)


def test_the_adaptive_weight_is_a_ratio_of_norms_within_its_limit():
    near, real = torch.full((4,), 3.0), torch.full((4,), 0.5)
    assert adaptive_weight(near, real) == pytest.approx(6.0 / (1.0 + 1e-4))
    assert adaptive_weight(near, 0 * real) == pytest.approx(1e4)
    assert adaptive_weight(near, 0 * real, limit=2.0) == 2.0
    assert not adaptive_weight(near.requires_grad_(), real).requires_grad


def test_the_slope_of_a_linear_judge_is_known():
    images = torch.zeros(3, 2, 4, 4, requires_grad=True)
    weight = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    logits = (images * weight).sum(dim=(1, 2, 3)).view(3, 1, 1, 1).expand(3, 1, 2, 2)
    penalty = r1_penalty(logits, images)
    assert penalty.detach().item() == pytest.approx(0.5 * float(weight.detach().square().sum()))
    penalty.backward()
    assert torch.allclose(weight.grad, weight)


def test_lecam_pulls_both_sides_towards_each_other():
    lecam = Lecam(decay=0.5)
    real, fake = torch.tensor([2.0], requires_grad=True), torch.tensor([-2.0], requires_grad=True)
    loss = lecam(real, fake)
    assert (lecam.real.item(), lecam.fake.item()) == (1.0, -1.0)
    assert loss.detach().item() == 9.0 + 9.0
    lecam(real.detach(), fake.detach())  # a later pass does not break an earlier gradient
    loss.backward()
    assert real.grad.item() > 0 > fake.grad.item()


def test_the_share_rises_from_the_start():
    config = AdversarialConfig(start_step=3, warmup_steps=0, lead_steps=5)
    assert [config.share_at(step) for step in (2, 3, 4)] == [0.0, 1.0, 1.0]
    assert config.discriminator_start == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"weight": -1.0},
        {"start_step": -1},
        {"r1_every": 0},
        {"lecam_decay": 1.0},
        {"adaptive_limit": math.inf},
    ],
)
def test_values_out_of_range_are_refused(changes):
    with pytest.raises(ConfigError):
        AdversarialConfig(**changes)
