"""Images to latents."""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from loopyvq.models.blocks import AttentionBlock, Downsample, stack_blocks, start_from_zero
from loopyvq.models.linear_path import linear_analysis
from loopyvq.models.patches import PatchTransform

__all__ = ["Encoder"]


class Encoder(nn.Module):
    """Fold small patches into frequencies, then refine and halve until one site is left per latent.

        image --patches--> level 0 blocks --/2--> level 1 blocks --/2--> ... --1x1--> z_e
          └────────────────────────── linear path, if any ──────────────────────────> +

    Args:
        image_channels: 1 or 3, or the number of labels.
        patch_size: side of the patches that become the first sites, in pixels.
        channels: width of each level; each level after the first halves the resolution.
        blocks: residual blocks per level.
        attention: whether the last level ends in self-attention.
        latent_dim: width of the latents.
        linear_path: whether the network only adds to a linear transform of the patches.
    """

    def __init__(
        self,
        image_channels: int,
        patch_size: int,
        channels: Sequence[int],
        blocks: int,
        attention: bool,
        latent_dim: int,
        linear_path: bool = False,
    ) -> None:
        super().__init__()
        self.patches = PatchTransform(image_channels, patch_size)
        self.stem = nn.Conv2d(self.patches.num_channels, channels[0], 3, padding=1)
        levels: list[nn.Module] = [stack_blocks(channels[0], blocks)]
        for narrow, wide in pairwise(channels):
            levels += [Downsample(narrow, wide), stack_blocks(wide, blocks)]
        if attention:
            levels.append(AttentionBlock(channels[-1]))
        self.levels = nn.Sequential(*levels)
        self.head = nn.Conv2d(channels[-1], latent_dim, 1)
        self.direct: nn.Conv2d | None = None
        if linear_path:
            factor = patch_size * 2 ** (len(channels) - 1)
            self.direct = linear_analysis(image_channels, factor, latent_dim)
            start_from_zero(self.head)

    def forward(self, image: Float[Tensor, "b c H W"]) -> Float[Tensor, "b d h w"]:
        """Encode images whose sides are multiples of the downsampling factor."""
        latents: Tensor = self.head(self.levels(self.stem(self.patches.fold(image))))
        return latents if self.direct is None else latents + self.direct(image)
