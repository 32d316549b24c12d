"""Images to latents, as taming does it."""

from jaxtyping import Float
from torch import Tensor, nn

from loopyvq.models.taming.config import TamingConfig
from loopyvq.models.taming.layers import Level, Middle, group_norm
from loopyvq.models.taming.lean import norm_silu_conv

__all__ = ["TamingEncoder"]


class TamingEncoder(nn.Module):
    """Refine and halve, level by level; the 1x1 convolution before the quantizer is the last step.

        image --3x3--> level 0 --/2--> level 1 --/2--> ... --middle--> --3x3--> --1x1--> z_e

    Args:
        config: the sizes.
    """

    def __init__(self, config: TamingConfig) -> None:
        super().__init__()
        widths = config.channels
        self.conv_in = nn.Conv2d(config.image_channels, config.base_channels, 3, padding=1)
        before = config.base_channels
        levels = []
        for index, width in enumerate(widths):
            levels.append(
                Level(
                    before,
                    width,
                    config.encoder_blocks,
                    index in config.attention_levels,
                    config.dropout,
                    "half" if index < len(widths) - 1 else "keep",
                )
            )
            before = width
        self.down = nn.Sequential(*levels)
        self.mid = Middle(before, config.dropout)
        self.norm_out = group_norm(before)
        self.conv_out = nn.Conv2d(before, config.latent_channels, 3, padding=1)
        self.quant_conv = nn.Conv2d(config.latent_channels, config.quantizer.codebook_dim, 1)

    def forward(self, image: Float[Tensor, "b c H W"]) -> Float[Tensor, "b d h w"]:
        """Encode images whose sides are multiples of the downsampling factor."""
        features = self.mid(self.down(self.conv_in(image)))
        features = norm_silu_conv(features, self.norm_out, self.conv_out)
        return self.quant_conv(features)
