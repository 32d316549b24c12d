"""Stand-ins for what taming's code imports and no longer finds; its own files stay as they are.

The checkout is only read. What is put in place of old libraries does as little as a training step
needs: Lightning's module without a trainer, torchvision's VGG16 with random weights (the published
ones give the same work), and the one function that models import from ``main``.
"""

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

# torchvision's configuration D: numbers are widths, M halves.
VGG16 = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")


class LightningModule(nn.Module):
    """What taming's models use of Lightning 1.0."""

    global_step = 0

    def log(self, *_: Any, **__: Any) -> None:
        """Forget it."""

    def log_dict(self, *_: Any, **__: Any) -> None:
        """Forget it."""


def vgg16(pretrained: bool = False) -> nn.Module:
    """Build the trunk with torchvision's places and its way of drawing weights."""
    layers: list[nn.Module] = []
    before = 3
    for width in VGG16:
        if isinstance(width, str):
            layers.append(nn.MaxPool2d(2, 2))
            continue
        layer = nn.Conv2d(before, width, 3, padding=1)
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ReLU(inplace=True)]
        before = width
    model = nn.Module()
    model.features = nn.Sequential(*layers)
    return model


def rearrange(tensor: Tensor, pattern: str) -> Tensor:
    """Permute axes: all that this model wants of einops."""
    before, after = (side.split() for side in pattern.split("->"))
    return tensor.permute([before.index(axis) for axis in after])


def instantiate_from_config(config: dict[str, Any]) -> Any:
    """Build what a section names."""
    module, _, name = config["target"].rpartition(".")
    return getattr(importlib.import_module(module), name)(**config.get("params", {}))


def install(checkout: Path) -> None:
    """Let taming's packages be imported from a checkout."""
    lightning = types.ModuleType("pytorch_lightning")
    lightning.LightningModule = LightningModule
    main = types.ModuleType("main")
    main.instantiate_from_config = instantiate_from_config
    vision, models = types.ModuleType("torchvision"), types.ModuleType("torchvision.models")
    vision.models, models.vgg16 = models, vgg16
    requests = types.ModuleType("requests")  # to download weights, which is not done here
    einops = types.ModuleType("einops")
    einops.rearrange = rearrange
    sys.modules |= {
        "pytorch_lightning": lightning,
        "main": main,
        "torchvision": vision,
        "torchvision.models": models,
        "requests": requests,
        "einops": einops,
    }
    sys.path.insert(0, str(checkout))
    lpips = importlib.import_module("taming.modules.losses.lpips")
    lpips.LPIPS.load_from_pretrained = _random_heads


@torch.no_grad()
def _random_heads(self: nn.Module) -> None:
    """Draw the linear heads; the published ones are not negative either."""
    for index, width in enumerate(self.chns):
        weight = getattr(self, f"lin{index}").model[-1].weight
        weight.copy_(torch.rand(weight.shape) / width)
