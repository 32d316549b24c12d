"""Latents, and what is known about them, to images."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from loopyvq.models.blocks import AttentionBlock, Upsample, stack_blocks, start_from_zero
from loopyvq.models.linear_path import linear_synthesis
from loopyvq.models.patches import PatchTransform

__all__ = ["Decoder"]

# Cue for a threshold of 0 and below anything useful; keeps the logarithm finite.
_SMALLEST_THRESHOLD = 1e-3


class Decoder(nn.Module):
    """Refine and double until the sites are small patches, then unfold them into pixels.

        z_q --3x3--> + length cue --> * and + threshold cue --> level n blocks --x2--> ... image
          └────────────────────────── linear path, if any ──────────────────────────────> +

    The cues tell the decoder how many tokens a site got and how coarse the whole image was made:
    a site of length 0 looks the same as a site that truly is zero without them.

    Args:
        image_channels: 1 or 3, or the number of labels.
        patch_size: side of the patches that the last sites become, in pixels.
        channels: width of each level, in the encoder's order.
        blocks: residual blocks per level.
        attention: whether the coarsest level begins with self-attention.
        latent_dim: width of the latents.
        max_depth: largest length of a site.
        linear_path: whether the network only adds to a linear transform of the latents.
    """

    def __init__(
        self,
        image_channels: int,
        patch_size: int,
        channels: Sequence[int],
        blocks: int,
        attention: bool,
        latent_dim: int,
        max_depth: int,
        linear_path: bool = False,
    ) -> None:
        super().__init__()
        self.patches = PatchTransform(image_channels, patch_size)
        wide = channels[-1]
        self.stem = nn.Conv2d(latent_dim, wide, 3, padding=1)
        self.length_cue = nn.Embedding(max_depth + 1, wide)
        self.threshold_cue = nn.Sequential(nn.Linear(1, 64), nn.SiLU(), nn.Linear(64, 2 * wide))
        nn.init.zeros_(self.length_cue.weight)
        for parameter in self.threshold_cue[2].parameters():
            nn.init.zeros_(parameter)
        levels: list[nn.Module] = [AttentionBlock(wide)] if attention else []
        levels.append(stack_blocks(wide, blocks))
        reverse = list(reversed(channels))
        for before, after in pairwise(reverse):
            levels += [Upsample(before, after), stack_blocks(after, blocks)]
        self.levels = nn.Sequential(*levels)
        self.head = nn.Conv2d(channels[0], self.patches.num_channels, 3, padding=1)
        self.direct: nn.ConvTranspose2d | None = None
        if linear_path:
            factor = patch_size * 2 ** (len(channels) - 1)
            self.direct = linear_synthesis(image_channels, factor, latent_dim)
            start_from_zero(self.head)

    @torch.no_grad()
    def hold_threshold(self, threshold: float) -> None:
        """Answer to every threshold as to one, until training teaches otherwise.

        Args:
            threshold: the only one that the decoder has seen, 0 or more.
        """
        weight, bias = self.threshold_cue[2].parameters()
        seen = bias.new_tensor([max(threshold, _SMALLEST_THRESHOLD)]).log()
        bias.copy_(self.threshold_cue(seen))
        weight.zero_()

    def forward(
        self,
        z_q: Float[Tensor, "b d h w"],
        lengths: Int[Tensor, "b h w"],
        threshold: Float[Tensor, "b h w"],
        cued: Bool[Tensor, " b"],
    ) -> Float[Tensor, "b c H W"]:
        """Decode latents.

        Args:
            z_q: quantized latents.
            lengths: tokens per site.
            threshold: the stop distance per site, in units of the latents' scale.
            cued: images for which the decoder may see lengths and threshold.

        Returns:
            Images, nominally in [-1, 1], not clamped.
        """
        seen = cued[:, None, None, None].to(z_q.dtype)
        length = self.length_cue(lengths).permute(0, 3, 1, 2)
        log_threshold = threshold.clamp(min=_SMALLEST_THRESHOLD).log().unsqueeze(3)
        stretch, shift = self.threshold_cue(log_threshold).permute(0, 3, 1, 2).chunk(2, dim=1)
        features = self.stem(z_q) + seen * length
        features = features + seen * (stretch * features + shift)
        image = self.patches.unfold(self.head(self.levels(features)))
        return image if self.direct is None else image + self.direct(z_q)
