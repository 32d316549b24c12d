"""A discriminator of patches: every logit says how real one patch of the image looks."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from loopyvq.config import require_numbers
from loopyvq.errors import ConfigError

__all__ = ["ActNorm", "BlurPool", "DiscriminatorConfig", "PatchDiscriminator"]

_SLOPE = 0.2
_WIDEST = 8  # channels never exceed this many times the first width


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Sizes of a discriminator.

    Attributes:
        normalisation: of the middle convolutions: ``batch`` or ``actnorm`` as in taming;
            ``spectral`` bounds every convolution's gain instead and looks at no statistics, which
            is steadier with small batches; ``none``.
        layers: convolutions that halve the resolution, 1 to 5; a logit sees 70 px at 3.
        base_channels: width after the first convolution.
        condition_channels: channels of an image given as condition; 0 for none.
        blur: halve by a small blur after a convolution and not by its stride, which aliases.
    """

    normalisation: Literal["batch", "actnorm", "spectral", "none"] = "spectral"
    layers: int = 3
    base_channels: int = 64
    condition_channels: int = 0
    blur: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 1 <= self.layers <= 5:
            raise ConfigError(f"discriminator layers must be within 1..5, got {self.layers}")
        require_numbers(self, "at least 1", "base_channels")
        require_numbers(self, "0 or more", "condition_channels")

    @property
    def least_side(self) -> int:
        """Side of the smallest image that gets a logit, in pixels."""
        # The last two convolutions take one position each off what the halvings leave.
        return 3 << self.layers


class ActNorm(nn.Module):
    """Shift and scale each channel by learned values that start from the first batch's statistics.

    Args:
        channels: width.
    """

    initialized: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.scale = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.register_buffer("initialized", torch.tensor(0, dtype=torch.uint8))

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Normalise features."""
        if self.training and not self.initialized:
            self._start(features.detach().float())
        return self.scale * (features + self.loc)

    @torch.no_grad()
    def _start(self, features: Tensor) -> None:
        deviation, mean = torch.std_mean(features, dim=(0, 2, 3), keepdim=True)
        self.loc.copy_(-mean)
        self.scale.copy_(1 / (deviation + 1e-6))
        self.initialized.fill_(1)


class BlurPool(nn.Module):
    """Halve the resolution of each channel under a [1 3 3 1] window, without aliasing.

    References:
        Making Convolutional Networks Shift-Invariant Again, 2019, section 3,
        https://arxiv.org/abs/1904.11486
    """

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("window", torch.outer(row, row), persistent=False)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """Blur and keep every second position."""
        channels = features.shape[1]
        window = self.window.to(features.dtype).expand(channels, 1, 4, 4)
        padded = F.pad(features, (1, 1, 1, 1), mode="replicate")
        return F.conv2d(padded, window, stride=2, groups=channels)


class PatchDiscriminator(nn.Module):
    """Convolutions that halve the image a few times and end in one logit per patch.

        image (+ condition) --conv /2--> --conv /2, norm--> ... --conv, norm--> --conv--> logits

    With ``batch`` or ``actnorm`` and no blur it is taming's, parameter names included.

    Args:
        config: the sizes.
        image_channels: channels of the images.

    Example:
        >>> discriminator = PatchDiscriminator(DiscriminatorConfig(base_channels=8), 3)
        >>> discriminator(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 1, 6, 6])

    References:
        Image-to-Image Translation with Conditional Adversarial Networks, 2017, section 3.2,
        https://arxiv.org/abs/1611.07004
    """

    def __init__(self, config: DiscriminatorConfig, image_channels: int = 3) -> None:
        super().__init__()
        self.config = config
        widths = [
            config.base_channels * min(2**index, _WIDEST) for index in range(config.layers + 1)
        ]
        entry = image_channels + config.condition_channels
        layers: list[nn.Module] = [self._convolution(entry, widths[0], True, True)]
        layers.append(nn.LeakyReLU(_SLOPE, inplace=True))
        for index in range(config.layers):
            halves = index < config.layers - 1
            layers += self._normalised(widths[index], widths[index + 1], halves)
        layers.append(self._convolution(widths[-1], 1, False, True))
        self.main = nn.Sequential(*layers)

    def forward(
        self,
        image: Float[Tensor, "b c H W"],
        condition: Float[Tensor, "b e H W"] | None = None,
    ) -> Float[Tensor, "b 1 h w"]:
        """Judge every patch.

        Args:
            image: in [-1, 1].
            condition: what the image was made from, of the same size; exactly where the config
                has ``condition_channels``.

        Returns:
            Logits, above 0 for patches that look real.

        Raises:
            ValueError: there is a condition and should be none, or the reverse.
        """
        if (condition is not None) != (self.config.condition_channels > 0):
            raise ValueError(
                f"condition_channels is {self.config.condition_channels}: give a condition "
                f"exactly if it is above 0"
            )
        whole = image if condition is None else torch.cat((image, condition), dim=1)
        return self.main(whole)

    def _normalised(self, before: int, after: int, halves: bool) -> list[nn.Module]:
        """Give a convolution of the middle, its normalisation and its activation."""
        kind = self.config.normalisation
        layers = [self._convolution(before, after, halves, kind != "batch")]
        if kind == "batch":
            norm = nn.BatchNorm2d(after)
            nn.init.normal_(norm.weight, 1.0, 0.02)
            layers.append(norm)
        elif kind == "actnorm":
            layers.append(ActNorm(after))
        return [*layers, nn.LeakyReLU(_SLOPE, inplace=True)]

    def _convolution(self, before: int, after: int, halves: bool, bias: bool) -> nn.Module:
        """Give a convolution that keeps or halves the resolution."""
        blurs = halves and self.config.blur
        size, stride = (3, 1) if blurs else (4, 2 if halves else 1)
        layer: nn.Module = nn.Conv2d(before, after, size, stride, padding=1, bias=bias)
        if self.config.normalisation == "spectral":
            layer = spectral_norm(layer)  # keeps torch's own start: its scale does not matter
        else:
            nn.init.normal_(layer.weight, 0.0, 0.02)  # type: ignore[arg-type]
        return nn.Sequential(layer, BlurPool()) if blurs else layer
