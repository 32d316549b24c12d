"""Latents to images, as taming does it."""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from loopyvq.models.taming.config import TamingConfig
from loopyvq.models.taming.layers import Level, Middle, group_norm

__all__ = ["TamingDecoder"]


class TamingDecoder(nn.Module):
    """Refine and double, level by level; the 1x1 convolution after the quantizer is the first step.

        z_q --1x1--> --3x3--> --middle--> ... --x2--> level 1 --x2--> level 0 --3x3--> image

    It knows no cues: how many tokens a site got, and at which threshold, changes nothing.

    Args:
        config: the sizes.
    """

    def __init__(self, config: TamingConfig) -> None:
        super().__init__()
        widths = config.channels
        coarsest = widths[-1]
        self.post_quant_conv = nn.Conv2d(config.quantizer.codebook_dim, config.latent_channels, 1)
        self.conv_in = nn.Conv2d(config.latent_channels, coarsest, 3, padding=1)
        self.mid = Middle(coarsest, config.dropout)
        before = coarsest
        levels = []
        for index in reversed(range(len(widths))):
            levels.append(
                Level(
                    before,
                    widths[index],
                    config.decoder_blocks,
                    index in config.attention_levels,
                    config.dropout,
                    "double" if index else "keep",
                )
            )
            before = widths[index]
        # Kept as the encoder's levels are: 0 is full resolution, though it runs last.
        self.up = nn.ModuleList(levels[::-1])
        self.norm_out = group_norm(before)
        self.conv_out = nn.Conv2d(before, config.image_channels, 3, padding=1)

    def forward(
        self,
        z_q: Float[Tensor, "b d h w"],
        lengths: Int[Tensor, "b h w"] | None = None,
        threshold: Float[Tensor, "b h w"] | None = None,
        cued: Bool[Tensor, " b"] | None = None,
    ) -> Float[Tensor, "b c H W"]:
        """Decode latents.

        Args:
            z_q: quantized latents, in their own units.
            lengths: ignored, like the next two: cues that other decoders listen to.
            threshold: ignored.
            cued: ignored.

        Returns:
            Images, nominally in [-1, 1], or logits of label maps; not clamped.
        """
        features = self.mid(self.conv_in(self.post_quant_conv(z_q)))
        for level in reversed(self.up):
            features = level(features)
        return self.conv_out(F.silu(self.norm_out(features)))
