"""taming's own transformer from a checkout, whose files stay as they are.

What it imports and no longer finds gets stand-ins: Lightning's module without a trainer, the one
function that models import from ``main``, and a filter that newer transformers libraries lack.
"""

import importlib
import sys
import types
from pathlib import Path

import torch
from sizes import Sizes
from torch import Tensor, nn


class LightningModule(nn.Module):
    """What taming's models use of Lightning 1.0."""

    def log(self, *_, **__) -> None:
        """Forget it."""


class ReadyCodes(nn.Module):
    """A first stage that gives codes drawn beforehand, so that only the transformer is timed."""

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.codes = codes

    def encode(self, images: Tensor):
        return images, None, (None, None, self.codes)


def install(checkout: Path) -> None:
    """Let taming's packages be imported from a checkout."""
    lightning, main = types.ModuleType("pytorch_lightning"), types.ModuleType("main")
    lightning.LightningModule = LightningModule
    main.instantiate_from_config = instantiate_from_config
    try:
        import transformers
    except ModuleNotFoundError:
        transformers = types.ModuleType("transformers")
    if not hasattr(transformers, "top_k_top_p_filtering"):
        transformers.top_k_top_p_filtering = top_k_filtering
    sys.modules |= {
        "pytorch_lightning": lightning, "main": main, "transformers": transformers
    }  # fmt: skip
    sys.path.insert(0, str(checkout))


def top_k_filtering(logits: Tensor, top_k: int, top_p: float | None = None) -> Tensor:
    """Do what transformers 4.3 did for ``top_p`` None or 1."""
    if top_k > 0:
        least = torch.topk(logits, top_k)[0][..., -1, None]
        logits[logits < least] = -float("inf")
    return logits


def instantiate_from_config(config: dict):
    """Build what a section names."""
    module, _, name = config["target"].rpartition(".")
    return getattr(importlib.import_module(module), name)(**config.get("params", {}))


def build(checkout: Path, sizes: Sizes, codes: Tensor) -> nn.Module:
    """Build an unconditional Net2NetTransformer with random weights."""
    install(checkout)
    gpt = {
        "vocab_size": sizes.vocabulary,
        "block_size": sizes.context,
        "n_layer": sizes.layers,
        "n_head": sizes.heads,
        "n_embd": sizes.width,
    }
    torch.manual_seed(0)
    model = instantiate_from_config(
        {
            "target": "taming.models.cond_transformer.Net2NetTransformer",
            "params": {
                "transformer_config": {
                    "target": "taming.modules.transformer.mingpt.GPT",
                    "params": gpt,
                },
                "first_stage_config": {
                    "target": "taming_side.ReadyCodes",
                    "params": {"codes": codes},
                },
                "cond_stage_config": "__is_unconditional__",
            },
        }
    )
    torch.nn.init.normal_(model.transformer.pos_emb, std=0.02)
    for parameter in model.transformer.parameters():
        if parameter.ndim == 2:  # larger than at the start of training, so that choices are clear
            parameter.data.mul_(4)
    model.learning_rate = 1e-4
    return model


def sample(model: nn.Module, start: Tensor, steps: int, top_k: int | None) -> Tensor:
    """Draw without a cache; greedily without ``top_k``."""
    nothing = start[:, :0]
    return model.sample(nothing, start, steps, sample=top_k is not None, top_k=top_k)


def some_steps(model: nn.Module, start: Tensor, steps: int, top_k: int | None, every: int) -> None:
    """Take one of ``every`` so many steps of `sample`, each after as many codes as it would see."""
    for given in range(every // 2, steps, every):
        codes = torch.randint(0, 8, (len(start), given))
        model.sample(codes, start, 1, sample=True, top_k=top_k)


def sample_with_past(model: nn.Module, start: Tensor, steps: int, top_k: int | None) -> Tensor:
    """Draw with taming's cache."""
    draw = sys.modules["taming.modules.transformer.mingpt"].sample_with_past
    return draw(start, model.transformer, steps, sample_logits=top_k is not None, top_k=top_k)


def training_step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: int) -> None:
    """Take the step that Lightning takes."""
    images = torch.zeros(batch, 1, 1, 3)
    loss = model.training_step({"image": images}, 0)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
