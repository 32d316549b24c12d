import pytest
import torch

from loopyvq.losses.adversarial import AdversarialConfig
from loopyvq.models.discriminator import DiscriminatorConfig
from loopyvq.training.critic import Critic

IMAGES = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def make(**game) -> Critic:
    torch.manual_seed(0)
    sizes = DiscriminatorConfig(layers=1, base_channels=4)
    return Critic(sizes, AdversarialConfig(**game), 3)


def test_it_learns_to_tell_the_kinds_apart():
    critic = make()
    optimizer = torch.optim.Adam(critic.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        verdict = critic(IMAGES, IMAGES * 0.3)
        verdict.loss.backward()
        optimizer.step()
    values = verdict.values()
    assert values["discriminator_accuracy"] > 0.9
    assert values["real_logit"] > 0 > values["fake_logit"]


def test_the_slope_is_measured_now_and_then_and_counts_as_often():
    critic = make(r1_weight=2.0, r1_every=4)
    assert [critic.measures_slope(step) for step in (0, 1, 4)] == [True, False, True]
    verdict = critic(IMAGES, -IMAGES, True)
    assert verdict.slope > 0
    wanted = verdict.game + 2.0 * 4 * verdict.slope
    assert verdict.loss.item() == pytest.approx(wanted.item())
    verdict.loss.backward()


def test_without_options_the_game_is_all():
    verdict = make()(IMAGES, -IMAGES)
    assert torch.equal(verdict.loss, verdict.game)
    assert not make().measures_slope(0)
