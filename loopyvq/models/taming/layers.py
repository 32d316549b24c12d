"""The pieces of taming's networks; parameters have its names, so that state dicts map one to one.

Group normalisation and attention look at the whole image: a crop is not encoded as the same part
of its image is.
"""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from loopyvq.models.taming.lean import double_and_convolve, norm_silu_conv

__all__ = [
    "NORM_GROUPS",
    "AttentionBlock",
    "Downsample",
    "Level",
    "Middle",
    "ResidualBlock",
    "Upsample",
    "group_norm",
]

NORM_GROUPS = 32
"""Groups of every normalisation; widths must be multiples of it."""

_EPSILON = 1e-6


def group_norm(channels: int) -> nn.GroupNorm:
    """Make the normalisation that all pieces use.

    Args:
        channels: width, a multiple of `NORM_GROUPS`.

    Returns:
        The layer.
    """
    return nn.GroupNorm(NORM_GROUPS, channels, eps=_EPSILON)


class ResidualBlock(nn.Module):
    """Twice normalise, activate, convolve; around it a skip, a 1x1 convolution if widths differ.

    Args:
        in_channels: width before.
        out_channels: width after.
        dropout: share of features dropped before the second convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = group_norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = group_norm(out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        if in_channels != out_channels:
            self.nin_shortcut: nn.Module = nn.Conv2d(in_channels, out_channels, 1)
        else:
            self.nin_shortcut = nn.Identity()

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b e h w"]:
        """Refine features."""
        refined = norm_silu_conv(features, self.norm1, self.conv1)
        if self.dropout.p > 0 and self.training:
            refined = self.conv2(self.dropout(F.silu(self.norm2(refined))))
        else:
            refined = norm_silu_conv(refined, self.norm2, self.conv2)
        return self.nin_shortcut(features) + refined


class AttentionBlock(nn.Module):
    """Self-attention of one head over all sites, around a skip.

    Args:
        channels: width.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Let every site look at every other."""
        normed = self.norm(features)
        # One head: b 1 (h w) c.
        query, key, value = (
            layer(normed).flatten(2).transpose(1, 2).unsqueeze(1)
            for layer in (self.q, self.k, self.v)
        )
        attended = F.scaled_dot_product_attention(query, key, value)
        merged = attended.squeeze(1).transpose(1, 2).reshape(features.shape)
        return features + self.proj_out(merged)


class Downsample(nn.Module):
    """Halve the resolution; zeros are padded on the right and at the bottom only.

    Args:
        channels: width.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """Convolve every second position."""
        return self.conv(F.pad(features, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Double the resolution: repeat every site, then convolve.

    Args:
        channels: width.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """Repeat and smooth."""
        return double_and_convolve(features, self.conv)


class Level(nn.Module):
    """Blocks of one resolution, each perhaps followed by attention, and the way to the next.

    Args:
        in_channels: width before.
        out_channels: width after.
        blocks: number of residual blocks, at least 1.
        attention: whether attention follows every block.
        dropout: as in `ResidualBlock`.
        resample: ``half`` or ``double`` the resolution at the end, or ``keep`` it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        blocks: int,
        attention: bool,
        dropout: float,
        resample: Literal["half", "keep", "double"],
    ) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            ResidualBlock(out_channels if index else in_channels, out_channels, dropout)
            for index in range(blocks)
        )
        count = blocks if attention else 0
        self.attn = nn.ModuleList(AttentionBlock(out_channels) for _ in range(count))
        if resample == "half":
            self.downsample = Downsample(out_channels)
        elif resample == "double":
            self.upsample = Upsample(out_channels)
        self.resample = resample

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b e h2 w2"]:
        """Refine features."""
        for index, block in enumerate(self.block):
            features = block(features)
            if len(self.attn):
                features = self.attn[index](features)
        if self.resample == "half":
            return self.downsample(features)
        return self.upsample(features) if self.resample == "double" else features


class Middle(nn.Module):
    """Block, attention, block at the coarsest resolution.

    Args:
        channels: width.
        dropout: as in `ResidualBlock`.
    """

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.block_1 = ResidualBlock(channels, channels, dropout)
        self.attn_1 = AttentionBlock(channels)
        self.block_2 = ResidualBlock(channels, channels, dropout)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Refine features."""
        return self.block_2(self.attn_1(self.block_1(features)))
