"""Patches of pixels as balanced frequencies: where networks begin and end.

Neighbouring pixels and colours are nearly equal, so as plain channels a few directions carry almost
all energy, and a network that starts from them spends most of its training on brightness. An
orthonormal cosine transform of each patch and an orthonormal rotation of the colours, each
frequency divided by its typical size in photographs, gives every channel about the same energy.
The transform is fixed and invertible.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["PatchTransform", "frequencies_by_size"]

# Brightness, red against blue, green against both.
_COLOUR_AXES = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (0.5, -1.0, 0.5))
# Root mean square of frequency 0 and of frequency (u, v) times u + v, per pixel of a patch side,
# of images in [-1, 1]; rounded from Caltech-101 photographs. Colours have less of both.
_SIZES = ((1.0, 0.16), (0.25, 0.05), (0.25, 0.05))
# The same of one-hot label maps, times the root of their number of labels.
_LABEL_SIZES = (1.0, 0.2)


class PatchTransform(nn.Module):
    """Turn images into channels of frequencies, one site per patch, and back.

    Args:
        image_channels: 1 or 3 for images; else the number of labels of one-hot label maps.
        patch_size: side of a patch, in pixels.

    References:
        Ahmed, Natarajan and Rao, "Discrete Cosine Transform", 1974,
        https://doi.org/10.1109/T-C.1974.223784

    Example:
        >>> transform = PatchTransform(3, 4)
        >>> image = torch.rand(1, 3, 8, 12)
        >>> torch.allclose(transform.unfold(transform.fold(image)), image, atol=1e-5)
        True
    """

    analysis: Tensor
    synthesis: Tensor

    def __init__(self, image_channels: int, patch_size: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.num_channels = image_channels * patch_size**2
        basis = _basis(image_channels, patch_size)
        sizes = _typical_sizes(image_channels, patch_size)[:, None, None, None]
        self.register_buffer("analysis", (basis / sizes).float(), persistent=False)
        self.register_buffer("synthesis", (basis * sizes).float(), persistent=False)

    def fold(self, image: Float[Tensor, "b c H W"]) -> Float[Tensor, "b e h w"]:
        """Give the frequencies of every patch, each of about unit size."""
        return F.conv2d(image, self.analysis, stride=self.patch_size)

    def unfold(self, frequencies: Float[Tensor, "b e h w"]) -> Float[Tensor, "b c H W"]:
        """Invert `fold`."""
        return F.conv_transpose2d(frequencies, self.synthesis, stride=self.patch_size)


def frequencies_by_size(
    image_channels: int, patch_size: int
) -> tuple[Float[Tensor, "e c p p"], Float[Tensor, " e"]]:
    """Sort the frequencies of a patch by how much of a photograph they carry.

    Args:
        image_channels: 1 or 3 for images; else the number of labels of one-hot label maps.
        patch_size: side of a patch, in pixels.

    Returns:
        Orthonormal patterns and the root mean squares of their coefficients, largest first.
    """
    sizes, order = _typical_sizes(image_channels, patch_size).sort(descending=True, stable=True)
    return _basis(image_channels, patch_size)[order], sizes


def _basis(image_channels: int, patch_size: int) -> Float[Tensor, "e c p p"]:
    """Build orthonormal patterns: one per colour axis and pair of frequencies."""
    position = torch.arange(patch_size, dtype=torch.float64)
    waves = torch.cos(math.pi / patch_size * torch.outer(position, position + 0.5))
    waves = waves / waves.norm(dim=1, keepdim=True)
    colours = torch.eye(image_channels, dtype=torch.float64)
    if image_channels == 3:
        colours = torch.tensor(_COLOUR_AXES, dtype=torch.float64)
        colours = colours / colours.norm(dim=1, keepdim=True)
    patterns = torch.einsum("ac,ui,vj->auvcij", colours, waves, waves)
    return patterns.reshape(-1, image_channels, patch_size, patch_size)


def _typical_sizes(image_channels: int, patch_size: int) -> Float[Tensor, " e"]:
    """Give the root mean square that each pattern's coefficient has in photographs."""
    index = torch.arange(patch_size, dtype=torch.float64)
    frequency = index[:, None] + index[None, :]
    planes = [
        torch.where(frequency == 0, flat, wave / frequency.clamp(min=1))
        for flat, wave in _plane_sizes(image_channels)
    ]
    return patch_size * torch.stack(planes).reshape(-1)


def _plane_sizes(image_channels: int) -> Sequence[tuple[float, float]]:
    if image_channels in (1, 3):
        return _SIZES[:image_channels]
    flat, wave = (size / math.sqrt(image_channels) for size in _LABEL_SIZES)
    return [(flat, wave)] * image_channels
