"""One side: taming's own model, losses and optimizers, stepped as Lightning 1.0 stepped them.

taming_worker.py CHECKOUT WEIGHTS MODE    MODE: check, 32-true or bf16-mixed
"""

import contextlib
import io
import sys
from pathlib import Path

import setting
import shims
import torch
from torch import Tensor, nn


def build(checkout: Path) -> nn.Module:
    """Build the model from a config as taming's YAML files hold it."""
    shims.install(checkout)
    loss = {
        "disc_start": 0,
        "disc_weight": setting.GAME_WEIGHT,
        "codebook_weight": 1.0,
        "disc_ndf": setting.DISCRIMINATOR_WIDTH,
        "disc_num_layers": setting.DISCRIMINATOR_LAYERS,
    }
    sizes = {
        "double_z": False,
        "z_channels": setting.LATENT,
        "resolution": setting.RESOLUTION,
        "in_channels": 3,
        "out_ch": 3,
        "ch": setting.CHANNELS,
        "ch_mult": list(setting.MULTIPLIERS),
        "num_res_blocks": setting.BLOCKS,
        "attn_resolutions": [setting.RESOLUTION >> setting.ATTENTION_LEVEL],
        "dropout": 0.0,
    }
    target = "taming.modules.losses.vqperceptual.VQLPIPSWithDiscriminator"
    params = {
        "embed_dim": setting.CODE_WIDTH,
        "n_embed": setting.CODES,
        "ddconfig": sizes,
        "lossconfig": {"target": target, "params": loss},
    }
    torch.manual_seed(0)
    with contextlib.redirect_stdout(io.StringIO()):
        model = shims.instantiate_from_config(
            {"target": "taming.models.vqgan.VQModel", "params": params}
        )
    model.learning_rate = setting.LEARNING_RATE
    model.train()
    # A trainer's train() reaches the dropout inside of LPIPS, which taming's constructor had
    # switched off; off, both sides compute the same.
    model.loss.perceptual_loss.eval()
    return model


def toggle(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Let only one player's parameters have gradients, as Lightning does with two optimizers."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.requires_grad_(True)


def step(model: nn.Module, optimizers: list[torch.optim.Optimizer], images: Tensor, bf16: bool):
    """Update both players."""
    for index, optimizer in enumerate(optimizers):
        toggle(model, optimizer)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model.training_step({"image": images}, 0, index)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def check(model: nn.Module, optimizers: list[torch.optim.Optimizer], images: Tensor, path: Path):
    """Save the weights, then measure losses and gradients at them."""
    torch.save(model.state_dict(), path)
    found = {}
    model.log_dict = lambda values, **_: found.update(values)
    for index, optimizer in enumerate(optimizers):
        toggle(model, optimizer)
        model.training_step({"image": images}, 0, index).backward()
    values = {name.partition("/")[2]: float(value) for name, value in found.items()}
    generator = [p for group in optimizers[0].param_groups for p in group["params"]]
    setting.tell(
        pixels_and_perceptual=values["nll_loss"],
        perceptual=values["p_loss"],
        quantizer=values["quant_loss"],
        generator=values["g_loss"],
        adaptive_weight=values["d_weight"],
        discriminator=values["disc_loss"],
        gradient_norm=norm(generator),
        discriminator_gradient_norm=norm(model.loss.discriminator.parameters()),
    )


def norm(parameters) -> float:
    return float(torch.stack([p.grad.norm() for p in parameters if p.grad is not None]).norm())


def main() -> None:
    checkout, weights, mode = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    model = build(checkout)
    optimizers = model.configure_optimizers()[0]
    images = setting.batch().permute(0, 2, 3, 1).contiguous()  # as taming's datasets give them
    if mode == "check":
        check(model, optimizers, images, weights)
        return
    while setting.wait():
        clock = setting.Clock()
        step(model, optimizers, images, mode == "bf16-mixed")
        clock.tell()


if __name__ == "__main__":
    main()
