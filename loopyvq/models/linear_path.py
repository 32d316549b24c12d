"""The straight way from patches to latents and back, which the networks then only improve on.

A convolutional autoencoder of a few megabytes, trained for minutes, reconstructs worse than a
linear transform of as many numbers (docs/experiments.md, "a linear path"). Here the transform is
there from the start: every latent holds the largest frequencies of its patch, in the proportions
in which they matter for squared error, and the networks add to both ends what they learn.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from loopyvq.models.patches import frequencies_by_size

__all__ = ["LinearEncoder", "linear_analysis", "linear_synthesis"]


class LinearEncoder(nn.Module):
    """Images to latents by a linear transform that stays as it is.

    An encoder that learns through a quantizer is told to enlarge whatever was left out, because
    the straight-through gradient does not know that leaving it out was right. Where codes have few
    entries that made training worse than no training (docs/experiments.md, 2026-11-28).

    Args:
        image_channels: 1 or 3, or the number of labels.
        factor: side of the patch that becomes a latent, in pixels.
        latent_dim: width of the latents.
    """

    def __init__(self, image_channels: int, factor: int, latent_dim: int) -> None:
        super().__init__()
        self.direct = linear_analysis(image_channels, factor, latent_dim).requires_grad_(False)

    def forward(self, image: Float[Tensor, "b c H W"]) -> Float[Tensor, "b d h w"]:
        """Encode images whose sides are multiples of the factor."""
        latents: Tensor = self.direct(image)
        return latents


def linear_analysis(image_channels: int, factor: int, latent_dim: int) -> nn.Conv2d:
    """Make the layer from images to latents.

    Args:
        image_channels: 1 or 3, or the number of labels.
        factor: side of the patch that becomes a latent, in pixels.
        latent_dim: width of the latents.

    Returns:
        A layer to be trained. It begins as a part of an orthonormal transform, scaled so that
        latents of photographs have a root-mean-square norm of about 1.

    Example:
        >>> image = torch.rand(1, 3, 16, 8)
        >>> there, back = linear_analysis(3, 8, 192), linear_synthesis(3, 8, 192)
        >>> torch.allclose(back(there(image)), image, atol=1e-5)
        True
    """
    layer = nn.Conv2d(image_channels, latent_dim, factor, stride=factor, bias=False)
    patterns, norm = _patterns(image_channels, factor, latent_dim)
    with torch.no_grad():
        layer.weight.copy_(patterns / norm)
    return layer


def linear_synthesis(image_channels: int, factor: int, latent_dim: int) -> nn.ConvTranspose2d:
    """Make the layer from latents to images; see `linear_analysis`, which it begins as inverse of.

    Args:
        image_channels: 1 or 3, or the number of labels.
        factor: side of the patch that a latent becomes, in pixels.
        latent_dim: width of the latents.

    Returns:
        A layer to be trained.
    """
    layer = nn.ConvTranspose2d(latent_dim, image_channels, factor, stride=factor, bias=False)
    patterns, norm = _patterns(image_channels, factor, latent_dim)
    with torch.no_grad():
        layer.weight.copy_(patterns * norm)
    return layer


def _patterns(
    image_channels: int, factor: int, latent_dim: int
) -> tuple[Float[Tensor, "d c p p"], float]:
    """Choose the largest frequencies; dimensions beyond them begin empty."""
    patterns, sizes = frequencies_by_size(image_channels, factor)
    chosen = patterns.new_zeros(latent_dim, *patterns.shape[1:])
    count = min(latent_dim, len(patterns))
    chosen[:count] = patterns[:count]
    return chosen, float(sizes[:count].norm())
