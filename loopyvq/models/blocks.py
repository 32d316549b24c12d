"""The convolutional pieces that encoder and decoder share.

No piece uses statistics over the image (no group or batch normalisation): what a site's latent is
depends on its neighbourhood alone, so crops, whole images and tiles see the same network.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "AttentionBlock",
    "Downsample",
    "ResidualBlock",
    "Upsample",
    "stack_blocks",
    "start_from_zero",
]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a skip; the identity at initialisation.

    Args:
        channels: width.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_out = nn.Conv2d(channels, channels, 3, padding=1)
        start_from_zero(self.conv_out)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Refine features; the shape stays."""
        return features + self.conv_out(F.silu(self.conv_in(F.silu(features))))


class AttentionBlock(nn.Module):
    """Self-attention over all sites around a skip; the identity at initialisation.

    Its reach is the whole image, so tiles and crops no longer see exactly the same network.

    Args:
        channels: width, a multiple of 32.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = max(1, channels // 64)
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        start_from_zero(self.out)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Let every site look at every other."""
        batch, channels, height, width = features.shape
        sites = features.flatten(2).transpose(1, 2)
        split = self.qkv(self.norm(sites)).unflatten(2, (3, self.heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        attended = F.scaled_dot_product_attention(query, key, value)
        merged = self.out(attended.transpose(1, 2).reshape(batch, -1, channels))
        return features + merged.transpose(1, 2).reshape(batch, channels, height, width)


class Downsample(nn.Module):
    """Halve the resolution: every 2x2 square becomes one site.

    Args:
        in_channels: width before.
        out_channels: width after.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 2, stride=2)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b e h2 w2"]:
        """Merge squares."""
        return self.conv(features)


class Upsample(nn.Module):
    """Double the resolution: every site becomes a 2x2 square.

    Args:
        in_channels: width before.
        out_channels: width after.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 4 * out_channels, 1)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b e h2 w2"]:
        """Split sites."""
        return F.pixel_shuffle(self.conv(features), 2)


def start_from_zero(layer: nn.Module) -> None:
    """Let a layer add nothing before it has learned what to add.

    Args:
        layer: all of its parameters become 0.
    """
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def stack_blocks(channels: int, count: int) -> nn.Sequential:
    """Chain residual blocks of one width.

    Args:
        channels: width.
        count: number of blocks, 0 or more.

    Returns:
        The blocks in order.
    """
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(count)))
