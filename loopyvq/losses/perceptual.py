"""LPIPS: distance in the features of VGG16, each channel weighed as people judged.

    image -----> 5 feature maps --unit length--+
                                               +--(difference)^2 --heads--> mean, summed over maps
    reference -> 5 feature maps --unit length--+

Weights are another matter: this module starts with random ones and `load_state_dict` brings the
real ones, which `loopyvq weights convert` makes of the published files.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["LEAST_SIDE", "LPIPS", "TRUNK_SHA256_PREFIX", "Vgg16Trunk"]

LEAST_SIDE = 16
"""Pixels along each side that LPIPS needs: its trunk halves them four times."""

TRUNK_SHA256_PREFIX = "397923af"
"""How the SHA-256 of the published VGG16 file begins, as its own name says."""

# Places of the convolutions in torchvision's `features`, level by level, and the levels' widths.
_PLACES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
_WIDTHS = (64, 128, 256, 512, 512)
# Inside the root: features of an all-zero site have a finite gradient, also in bf16.
_TINY = 1e-8


class Vgg16Trunk(nn.Module):
    """The 13 convolutions of VGG16, named as in torchvision: ``features.0.weight`` and so on."""

    def __init__(self) -> None:
        super().__init__()
        layers: dict[str, nn.Module] = {}
        before = 3
        for places, width in zip(_PLACES, _WIDTHS, strict=True):
            for place in places:
                layers[str(place)] = nn.Conv2d(before, width, 3, padding=1)
                before = width
        self.features = nn.ModuleDict(layers)

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> list[Tensor]:
        """Give the last activations of every level, finest first.

        Args:
            image: normalised as VGG16 wants it.

        Returns:
            Five maps, each half as large as the one before.
        """
        maps, features = [], image
        for level, places in enumerate(_PLACES):
            if level > 0:
                features = F.max_pool2d(features, 2)
            for place in places:
                features = F.relu(self.features[str(place)](features), inplace=True)
            maps.append(features)
        return maps


class LPIPS(nn.Module):
    """Compare images by learned features; frozen, and always in evaluation mode.

    Images of one channel count as grey. Sides must be at least 16 px.

    Example:
        >>> image = torch.zeros(1, 3, 16, 16)
        >>> LPIPS()(image, image)
        tensor([0.])

    References:
        The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, 2018, eq. 1,
        https://arxiv.org/abs/1801.03924
    """

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Vgg16Trunk()
        self.heads = nn.ParameterList(torch.full((1, width, 1, 1), 1 / width) for width in _WIDTHS)
        shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
        scale = torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)
        self.register_buffer("shift", shift, persistent=False)
        self.register_buffer("scale", scale, persistent=False)
        self.requires_grad_(False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self, image: Float[Tensor, "b c H W"], reference: Float[Tensor, "b c H W"]
    ) -> Float[Tensor, " b"]:
        """Compare reconstructions with their images.

        Args:
            image: the reconstructions, in [-1, 1] or a little beyond; gradients go to them.
            reference: the originals, of the same shape.

        Returns:
            The distance of each, float32, 0 for equal images.

        Raises:
            ValueError: the shapes differ, there are neither 1 nor 3 channels, or a side is under
                16 px.
        """
        _require_images(image, reference)
        found = self._features(image)
        with torch.no_grad():
            wanted = self._features(reference)
        total = torch.zeros(len(image), device=image.device)
        for ours, theirs, head in zip(found, wanted, self.heads, strict=True):
            difference = (_unit(ours) - _unit(theirs)).square()
            total = total + (head * difference).sum(dim=1).mean(dim=(1, 2))
        return total

    def _features(self, image: Tensor) -> list[Tensor]:
        normal = (image.expand(-1, 3, -1, -1) - self.shift) / self.scale
        maps: list[Tensor] = self.trunk(normal.contiguous(memory_format=torch.channels_last))
        return maps


def _unit(features: Tensor) -> Tensor:
    """Bring the features of every site to length 1, in float32 under autocast too."""
    features = features.float()
    return features * (features.square().sum(dim=1, keepdim=True) + _TINY).rsqrt()


def _require_images(image: Tensor, reference: Tensor) -> None:
    if image.shape != reference.shape or image.shape[1] not in (1, 3):
        raise ValueError(
            "image and reference must have one shape (b, 1 or 3, H, W), got "
            f"{tuple(image.shape)} and {tuple(reference.shape)}"
        )
    if min(image.shape[2:]) < LEAST_SIDE:
        raise ValueError(
            f"LPIPS needs sides of at least {LEAST_SIDE} px, got {image.shape[2]} x "
            f"{image.shape[3]}"
        )
