"""The other side: our training loop as `loopyvq train vqgan` runs it, on taming's weights.

our_worker.py WEIGHTS MODE [OPTION ...]    MODE: check, 32-true or bf16-mixed
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import setting
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from loopyvq.config import parse_config, read_yaml
from loopyvq.interop.taming_state import sort_names, tokenizer_from_state
from loopyvq.losses.perceptual import LPIPS
from loopyvq.training import VqganTask, VqganTrainingConfig, vqgan_task
from loopyvq.training.loop import train

CONFIG = Path(__file__).parents[2] / "configs/vqgan_taming_imagenet.yaml"
_MANY = 1_000_000


class SameImages(Dataset[Tensor]):
    """Every draw is one of the images of the batch."""

    def __init__(self) -> None:
        self.images = setting.batch()

    def __len__(self) -> int:
        return _MANY

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index % len(self.images)]


class TimedTask(VqganTask):
    """Say how long the last step took and wait for the next, all within the loop."""

    clock: setting.Clock | None = None

    def begin_step(self, step: int) -> None:
        if self.clock is not None:
            self.clock.tell()
        if not setting.wait():
            sys.exit()
        self.clock = setting.Clock()
        super().begin_step(step)


def config(precision: str, words: list[str]) -> VqganTrainingConfig:
    """Give the preset of taming's ImageNet model at the sizes of this benchmark."""
    options: dict[str, object] = {
        "taming.base_channels": setting.CHANNELS,
        "taming.multipliers": list(setting.MULTIPLIERS),
        "taming.blocks": setting.BLOCKS,
        "taming.resolution": setting.RESOLUTION,
        "taming.attention_levels": [setting.ATTENTION_LEVEL],
        "taming.latent_channels": setting.LATENT,
        "discriminator.base_channels": setting.DISCRIMINATOR_WIDTH,
        "discriminator.layers": setting.DISCRIMINATOR_LAYERS,
        "adversarial.weight": setting.GAME_WEIGHT,
        "adversarial.start_step": 0,
        "run.batch_size": setting.BATCH,
        "run.steps": _MANY,
        "run.log_every": _MANY,
        "run.save_every": _MANY,
        "run.validate_every": _MANY,
        "run.tensorboard": "false",
        "run.accelerator": "cpu",
        "run.precision": precision,
    }
    chosen = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return parse_config(VqganTrainingConfig, read_yaml(CONFIG), [*chosen, *words])


def build(weights: Path, options: VqganTrainingConfig) -> TimedTask:
    """Build the task and give all three networks taming's weights."""
    state = torch.load(weights, map_location="cpu")
    perceptual = _lpips(state)
    vqgan_task.load_lpips = lambda _: (
        perceptual
    )  # not a closure over all weights: memory is measured
    tokenizer = tokenizer_from_state(options.networks, sort_names(state).used, weights)
    task = TimedTask(options, tokenizer, [])
    start = "loss.discriminator."
    own = {name.removeprefix(start): state[name] for name in state if name.startswith(start)}
    task.critic.discriminator.load_state_dict(own)
    return task


def _lpips(state: Mapping[str, Tensor]) -> LPIPS:
    """Give our LPIPS the weights of taming's."""
    ours = {}
    for name, tensor in state.items():
        part, _, rest = name.removeprefix("loss.perceptual_loss.").partition(".")
        if not name.startswith("loss.perceptual_loss."):
            continue
        if part == "net":
            ours[f"trunk.features.{rest.partition('.')[2]}"] = tensor
        elif part.startswith("lin"):
            ours[f"heads.{part.removeprefix('lin')}"] = tensor
    distance = LPIPS()
    distance.load_state_dict(ours)
    return distance.eval()


def check(task: VqganTask) -> None:
    """Measure losses and gradients at taming's weights."""
    images = setting.batch()
    task.model.train()
    total = task.loss(task.model, images, torch.Generator().manual_seed(0))
    total.backward()
    task.adversary_loss(task.adversary).backward()
    values = task.measure()[0]
    pull = values["reconstruction_loss"] + task.gan.perceptual.weight * values["perceptual_loss"]
    push = values["adversarial_weight"] * values["generator_loss"]
    setting.tell(
        pixels_and_perceptual=pull,
        perceptual=values["perceptual_loss"],
        quantizer=float(total.detach()) - pull - push,
        generator=values["generator_loss"],
        adaptive_weight=values["adversarial_weight"],
        discriminator=values["discriminator_loss"],
        gradient_norm=norm(task.model),
        discriminator_gradient_norm=norm(task.critic),
    )


def norm(module: nn.Module) -> float:
    found = [p.grad.norm() for p in module.parameters() if p.grad is not None]
    return float(torch.stack(found).norm())


def main() -> None:
    weights, mode, words = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    options = config("32-true" if mode == "check" else mode, words)
    task = build(weights, options)
    if mode == "check":
        check(task)
        return
    with tempfile.TemporaryDirectory() as folder:
        train(task, SameImages(), options.run, options.optim, Path(folder), quiet=True)


if __name__ == "__main__":
    main()
