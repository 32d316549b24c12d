import pytest
import torch
from torch import nn

from loopyvq.config import parse_config
from loopyvq.errors import CheckpointError, ConfigError
from loopyvq.losses.adversarial import adaptive_weight, generator_loss
from loopyvq.models import Tokenizer
from loopyvq.training import VqganTask, VqganTrainingConfig
from loopyvq.training.vqgan_task import last_weight
from tests.training.conftest import TINY

GAN = {
    **TINY,
    "scale_weight": 0.0,
    "discriminator": {"base_channels": 4, "layers": 2},
    "adversarial": {"start_step": 2, "lead_steps": 1, "warmup_steps": 0},
}
IMAGES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
TAMING = [
    "--architecture", "taming", "--taming.base_channels", "32", "--taming.multipliers", "[1,1]",
    "--taming.blocks", "1", "--taming.attention_levels", "[1]", "--taming.latent_channels", "8",
    "--taming.quantizer.codebook_dim", "4", "--taming.quantizer.codebook_size", "16",
    "--budget.kind", "full",
]  # fmt: skip


def tiny_gan(*words: str) -> VqganTrainingConfig:
    return parse_config(VqganTrainingConfig, GAN, ["--run.precision", "32-true", *words])


def make(*words: str, step: int = 0) -> VqganTask:
    config = tiny_gan(*words)
    torch.manual_seed(0)
    task = VqganTask(config, Tokenizer(config.networks), [])
    task.begin_step(step)
    task.model.train()
    with torch.no_grad():
        task.model(IMAGES)  # starts the codebook
    task.tokenizer.quantizer.frozen = True
    return task


def loss_of(task: VqganTask, images: torch.Tensor = IMAGES) -> torch.Tensor:
    return task.loss(task.model, images, torch.Generator().manual_seed(5))


def gradients(module: nn.Module) -> list[torch.Tensor]:
    return [p.grad.clone() for p in module.parameters() if p.grad is not None]


def plainly(task: VqganTask, images: torch.Tensor) -> torch.Tensor:
    """The same loss as one expression, with both gradients of the adaptive weight from scratch."""
    found = task.reconstruct(task.model, images, _generator_after_seed())
    image = found.result.image
    terms = task.reconstruction_loss(image, images)
    near = (
        terms.reconstruction_loss
        + task.gan.perceptual.weight * task.perceptual(image, images).mean()
    )
    real = generator_loss("hinge", task.critic.discriminator(image))
    weight = last_weight(task.tokenizer)
    ratio = adaptive_weight(
        torch.autograd.grad(near, weight, retain_graph=True)[0],
        torch.autograd.grad(real, weight, retain_graph=True)[0],
    )
    return near + task.gan.adversarial.weight * ratio * real + found.regularisation


def _generator_after_seed() -> torch.Generator:
    generator = torch.Generator().manual_seed(5)
    torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
    return generator


@pytest.mark.parametrize(("words", "side"), [((), 32), ((), 29), (TAMING, 32)])
def test_one_pass_gives_the_gradient_of_the_plain_formula(words, side):
    images = IMAGES[:, :, :side, :]
    task = make("--discriminator.normalisation", "none", *words, step=2)
    loss = loss_of(task, images)
    loss.backward()
    found = gradients(task.model)
    task.model.zero_grad()
    wanted = plainly(task, images)
    wanted.backward()
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
    for ours, theirs in zip(found, gradients(task.model), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def test_the_game_counts_from_its_start_alone():
    before, after = make(step=1), make(step=2)
    loss_of(before)
    loss_of(after)
    assert before.measure()[0]["adversarial_weight"] == 0
    assert after.measure()[0]["adversarial_weight"] > 0
    assert after.adversary_start == 1


def test_no_gradient_of_the_generator_reaches_the_discriminator_nor_back():
    task = make(step=2)
    loss_of(task).backward()
    assert not gradients(task.critic)
    task.model.zero_grad()
    task.adversary_loss(task.adversary).backward()
    assert gradients(task.critic)
    assert not gradients(task.model)


def test_everything_runs_once_per_batch():
    task, calls = make(step=2), []
    for network in (task.tokenizer.encoder, task.tokenizer.decoder, task.perceptual):
        network.register_forward_hook(lambda module, _, __: calls.append(type(module).__name__))
    loss_of(task).backward()
    task.adversary_loss(task.adversary).backward()
    assert calls == ["Encoder", "Decoder", "PyramidDistance"]


@pytest.mark.parametrize("words", [(), TAMING])
def test_recomputing_blocks_changes_no_gradient(words):
    found = []
    for recompute in ("false", "true"):
        task = make("--recompute", recompute, *words, step=2)
        task.tokenizer.quantizer.frozen = False
        loss_of(task).backward()
        found.append(gradients(task.model))
        task.after_step()
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*found, strict=True))


def test_measurements_show_the_game():
    task = make("--adversarial.r1_weight", "1", "--adversarial.lecam_weight", "1", step=16)
    loss_of(task)
    task.adversary_loss(task.adversary)
    values, shown = task.measure()
    for name in ("real_logit", "fake_logit", "discriminator_accuracy", "usage_per_turn"):
        assert name in values
    assert values["r1_penalty"] > 0
    assert 0 <= values["discriminator_accuracy"] <= 1
    assert shown["D"].endswith("%")


def test_fixed_weights_and_every_loss():
    for kind in ("hinge", "vanilla", "non_saturating"):
        task = make("--adversarial.kind", kind, "--adversarial.adaptive", "false", step=2)
        loss_of(task)
        assert task.measure()[0]["adversarial_weight"] == pytest.approx(0.8)
        assert len(task.networks()) == 2


def test_lpips_is_never_replaced(tmp_path):
    with pytest.raises(CheckpointError, match="no weights for LPIPS"):
        make("--perceptual.kind", "lpips", "--perceptual.weights", str(tmp_path))
    assert make("--perceptual.kind", "none").perceptual is None


def test_an_adversary_needs_a_pass_to_judge():
    task = make()
    with pytest.raises(RuntimeError, match="run loss before"):
        task.adversary_loss(task.adversary)


@pytest.mark.parametrize(
    "words",
    [
        ("--rate_per_image", "-1"),
        ("--perceptual.weight", "-1"),
        ("--discriminator.condition_channels", "2"),
        ("--architecture", "taming", "--taming.label_maps", "true"),
    ],
)
def test_values_out_of_range_are_refused(words):
    with pytest.raises(ConfigError):
        tiny_gan(*words)
