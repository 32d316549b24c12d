"""The whole way from images to tokens and back."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from loopyvq.errors import ConfigError
from loopyvq.models.decoder import Decoder
from loopyvq.models.encoder import Encoder
from loopyvq.models.linear_path import LinearEncoder
from loopyvq.models.taming.config import TamingConfig
from loopyvq.models.taming.decoder import TamingDecoder
from loopyvq.models.taming.encoder import TamingEncoder
from loopyvq.ops.straight_through import stop_gradient_at_zeros
from loopyvq.quantize import LoopConfig, LoopQuantizer, Quantized
from loopyvq.quantize.gumbel import GumbelQuantizer
from loopyvq.tokens import Tokens

__all__ = [
    "ARCHITECTURES",
    "AnyTokenizerConfig",
    "LabelTokenizerConfig",
    "Reconstruction",
    "Tokenizer",
    "TokenizerConfig",
]


@dataclass(frozen=True)
class TokenizerConfig:
    """Sizes of the networks around the loop.

    Attributes:
        image_channels: 3 for colour, 1 for greyscale.
        downsampling: pixels per site along each side.
        patch_size: pixels folded into channels before the first convolution; a divisor of
            ``downsampling``. Larger is faster.
        channels: width of each level; one level for the patches and one for every halving from
            there to ``downsampling``.
        encoder_blocks: residual blocks per level of the encoder.
        decoder_blocks: residual blocks per level of the decoder.
        attention: self-attention over all sites at the coarsest level, in both networks.
        linear_encoder: latents are the largest frequencies of their patches and stay so: there is
            no network before the loop, only one behind it. Such latents have few large entries,
            as codes of few entries want them (``code_supports``).
        linear_path: latents begin as the largest frequencies of their patches, and images as the
            inverse of that, both to be trained; the networks add what they learn. Far better
            images at high rates for the same training.
        quantizer: the loop.
    """

    image_channels: int = 3
    downsampling: Literal[4, 8, 16] = 8
    patch_size: Literal[1, 2, 4, 8] = 4
    channels: tuple[int, ...] = (64, 128)
    encoder_blocks: int = 2
    decoder_blocks: int = 2
    attention: bool = False
    linear_encoder: bool = False
    linear_path: bool = False
    quantizer: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        """Check the channels, and that the levels reach the downsampling factor."""
        if not self.label_maps and self.image_channels not in (1, 3):
            raise ConfigError(f"image_channels must be 1 or 3, got {self.image_channels}")
        if not 1 <= self.image_channels <= 256:
            raise ConfigError(f"there can be 1 to 256 labels, got {self.image_channels}")
        reached = self.patch_size * 2 ** (len(self.channels) - 1)
        if not self.channels or reached != self.downsampling:
            raise ConfigError(
                f"patch_size {self.patch_size} and {len(self.channels)} channels give a "
                f"downsampling of {reached}, not {self.downsampling}: give one width for the "
                f"patches and one for every halving"
            )
        if self.linear_encoder and not self.linear_path:
            raise ConfigError("linear_encoder needs linear_path, the inverse that images begin as")
        if min(self.channels) < 1 or min(self.encoder_blocks, self.decoder_blocks) < 0:
            raise ConfigError("channels must be at least 1 and blocks 0 or more")
        if self.attention and self.channels[-1] % 64:
            raise ConfigError(
                f"attention needs a last width that is a multiple of 64, got {self.channels[-1]}"
            )

    @property
    def label_maps(self) -> bool:
        """Whether it takes one-hot label maps and gives logits: no, images."""
        return False


@dataclass(frozen=True)
class LabelTokenizerConfig(TokenizerConfig):
    """Sizes of the same networks for one-hot label maps; ``image_channels`` is how many labels.

    What is decoded are logits, not images in [-1, 1].
    """

    @property
    def label_maps(self) -> bool:
        """Whether it takes one-hot label maps and gives logits: yes."""
        return True


AnyTokenizerConfig = TokenizerConfig | TamingConfig
"""What a tokenizer can be made of; the kind of the config decides the networks."""

ARCHITECTURES: dict[str, type[AnyTokenizerConfig]] = {
    "loopy": TokenizerConfig,
    "loopy_labels": LabelTokenizerConfig,
    "taming": TamingConfig,
}
"""Name of every architecture, as files hold it, and the class of its config."""


class Reconstruction(NamedTuple):
    """What a training or evaluation pass gives.

    Attributes:
        image: ``b c H W``, nominally in [-1, 1], not clamped.
        quantized: the result of the loop, sites of shape ``b h w``.
        latents: ``b h w d``, the encoder's output.
    """

    image: Float[Tensor, "b c H W"]
    quantized: Quantized
    latents: Float[Tensor, "b h w d"]


class Tokenizer(nn.Module):
    """Turn images into variable-length tokens and back, at any threshold, at any size.

        image --encoder--> z_e --loop--> Tokens --sum--> z_q --decoder, told the lengths--> image

    Args:
        config: the sizes; its class decides the architecture.

    Example:
        >>> tokenizer = Tokenizer(TokenizerConfig(channels=(8, 16))).eval()
        >>> image = torch.zeros(1, 3, 20, 33)
        >>> tokens = tokenizer.encode(image, threshold=0.5)
        >>> tokens.lengths.shape, tokenizer.decode(tokens, threshold=0.5, size=(20, 33)).shape
        (torch.Size([1, 3, 5]), torch.Size([1, 3, 20, 33]))
    """

    def __init__(self, config: AnyTokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _encoder_of(config)
        self.quantizer = _quantizer_of(config)
        self.decoder = _decoder_of(config)
        # What CPU and GPU convolutions want.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def architecture(self) -> str:
        """The name of the networks' architecture, a key of `ARCHITECTURES`."""
        return next(name for name, kind in ARCHITECTURES.items() if type(self.config) is kind)

    def latents(self, image: Float[Tensor, "b c H W"]) -> Float[Tensor, "b h w d"]:
        """Encode images without quantizing.

        Args:
            image: in [-1, 1], of any size; the border is repeated up to a multiple of
                ``downsampling``.

        Returns:
            One latent per site.

        Raises:
            ValueError: the number of channels differs from ``image_channels`` or the image is
                empty.
        """
        channels = self.config.image_channels
        if image.ndim != 4 or image.shape[1] != channels or min(image.shape[2:]) < 1:
            raise ValueError(f"images must be b {channels} H W, got {tuple(image.shape)}")
        factor = self.config.downsampling
        height, width = image.shape[2:]
        padding = (0, -width % factor, 0, -height % factor)
        padded = F.pad(image, padding, mode="replicate") if any(padding) else image
        padded = padded.contiguous(memory_format=torch.channels_last)
        return self.encoder(padded).permute(0, 2, 3, 1)

    def forward(
        self,
        image: Float[Tensor, "b c H W"],
        threshold: float | Tensor | None = None,
        depth: int | Tensor | None = None,
        cued: Bool[Tensor, " b"] | None = None,
    ) -> Reconstruction:
        """Encode, quantize and decode, with gradients.

        Args:
            image: in [-1, 1].
            threshold: a number, or a tensor that broadcasts to ``b h w``; see `LoopQuantizer`.
            depth: the same for the number of turns.
            cued: images for which the decoder sees lengths and threshold; by default all.

        Returns:
            The reconstruction, of the image's size, with all that the loop found.
        """
        latents = self.latents(image)
        quantized = self.quantizer(latents, threshold, depth)
        z_q = quantized.z_q
        if self.config.quantizer.code_supports:
            z_q = stop_gradient_at_zeros(z_q)
        decoded = self._paint(z_q, quantized.lengths, threshold, cued)
        cropped = decoded[:, :, : image.shape[2], : image.shape[3]]
        return Reconstruction(cropped, quantized, latents)

    @torch.no_grad()
    def encode(
        self,
        image: Float[Tensor, "b c H W"],
        threshold: float | Tensor | None = None,
        depth: int | Tensor | None = None,
    ) -> Tokens:
        """Give the tokens of images.

        Args:
            image: in [-1, 1], of any size.
            threshold: stop distance; smaller gives more tokens. By default the configured one.
            depth: most tokens per site.

        Returns:
            Tokens with sites of shape ``b h w``.
        """
        return self.quantizer.encode(self.latents(image), threshold, depth)

    @torch.no_grad()
    def decode(
        self,
        tokens: Tokens,
        threshold: float | Tensor | None = None,
        size: tuple[int, int] | None = None,
        cues: bool = True,
    ) -> Float[Tensor, "b c H W"]:
        """Give the images that tokens stand for.

        Args:
            tokens: sites of shape ``b h w``; any prefix decodes.
            threshold: the threshold they were made with, a cue for the decoder.
            size: height and width to crop to, in pixels; by default all sites.
            cues: whether the decoder sees lengths and threshold.

        Returns:
            Images within [-1, 1]; for label maps their logits.

        Raises:
            ValueError: the tokens have no sites of shape ``b h w``, or ``size`` does not belong
                to this many sites.
        """
        if tokens.lengths.ndim != 3:
            raise ValueError(f"sites must be b h w, got {tuple(tokens.lengths.shape)}")
        factor = self.config.downsampling
        grid = (tokens.lengths.shape[1], tokens.lengths.shape[2])
        size = size or (grid[0] * factor, grid[1] * factor)
        if tuple(-(-side // factor) for side in size) != grid:
            raise ValueError(f"{grid[0]} x {grid[1]} sites cannot be an image of size {size}")
        cued = torch.full((len(tokens.lengths),), cues, device=tokens.lengths.device)
        z_q = self.quantizer.decode(tokens)
        image = self._paint(z_q, tokens.lengths, threshold, cued)
        cropped = image[:, :, : size[0], : size[1]]
        return cropped if self.config.label_maps else cropped.clamp(-1, 1)

    @torch.no_grad()
    def reconstruct(
        self,
        image: Float[Tensor, "b c H W"],
        threshold: float | Tensor | None = None,
        depth: int | Tensor | None = None,
    ) -> Float[Tensor, "b c H W"]:
        """Encode and decode images; see `encode` and `decode`."""
        tokens = self.encode(image, threshold, depth)
        return self.decode(tokens, threshold, (image.shape[2], image.shape[3]))

    def paint(
        self,
        z_q: Float[Tensor, "b h w d"],
        lengths: Int[Tensor, "b h w"],
        threshold: float | Tensor | None = None,
    ) -> Float[Tensor, "b c H W"]:
        """Give the images of latents that are not those of tokens alone, differentiably.

        Args:
            z_q: the latents, as the quantizer decodes them.
            lengths: tokens per site, a cue for the decoder.
            threshold: as in `decode`.

        Returns:
            Images of all sites, nominally in [-1, 1], not clamped.
        """
        return self._paint(z_q, lengths, threshold, None)

    def _paint(
        self,
        z_q: Float[Tensor, "b h w d"],
        lengths: Tensor,
        threshold: float | Tensor | None,
        cued: Bool[Tensor, " b"] | None,
    ) -> Float[Tensor, "b c H W"]:
        """Decode latents, brought to unit scale, with their cues."""
        if threshold is None:
            threshold = self.config.quantizer.threshold
        limit = torch.as_tensor(threshold, dtype=torch.float32, device=z_q.device)
        if cued is None:
            cued = torch.ones(len(z_q), dtype=torch.bool, device=z_q.device)
        unit = z_q / self.quantizer.sigma.clone()
        return self.decoder(unit.permute(0, 3, 1, 2), lengths, limit.expand(lengths.shape), cued)


def _encoder_of(config: AnyTokenizerConfig) -> nn.Module:
    if isinstance(config, TamingConfig):
        return TamingEncoder(config)
    if config.linear_encoder:
        return LinearEncoder(
            config.image_channels, config.downsampling, config.quantizer.codebook_dim
        )
    return Encoder(
        config.image_channels,
        config.patch_size,
        config.channels,
        config.encoder_blocks,
        config.attention,
        config.quantizer.codebook_dim,
        config.linear_path,
    )


def _quantizer_of(config: AnyTokenizerConfig) -> LoopQuantizer:
    if isinstance(config, TamingConfig) and config.assignment == "gumbel":
        return GumbelQuantizer(config.quantizer, config.gumbel)
    return LoopQuantizer(config.quantizer)


def _decoder_of(config: AnyTokenizerConfig) -> nn.Module:
    if isinstance(config, TamingConfig):
        return TamingDecoder(config)
    return Decoder(
        config.image_channels,
        config.patch_size,
        config.channels,
        config.decoder_blocks,
        config.attention,
        config.quantizer.codebook_dim,
        config.quantizer.max_depth,
        config.linear_path,
    )
