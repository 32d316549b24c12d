"""Large images in overlapping tiles that give what the whole image gives.

The networks of this package use no statistics over the image and reach only so far. A tile that is
cut this far around is therefore right in its middle, borders of the image included, and the
middles are put together: no blending, no seams. Networks with attention or with normalisation over
the image see all of it at once.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from loopyvq.codec.decoder_input import DecoderInput
from loopyvq.data import to_float, to_uint8
from loopyvq.models import Tokenizer, TokenizerConfig

__all__ = ["Tile", "decoder_reach", "encoder_reach", "latents_in_tiles", "paint_in_tiles", "tiles"]

TILE_SITES = 128


class Tile(NamedTuple):
    """A rectangle of sites, and the larger one that has all they depend on.

    Attributes:
        top: first row.
        left: first column.
        bottom: one behind the last row.
        right: one behind the last column.
        outer_top: first row with the surroundings, and so on.
        outer_left: first column.
        outer_bottom: one behind the last row.
        outer_right: one behind the last column.
    """

    top: int
    left: int
    bottom: int
    right: int
    outer_top: int
    outer_left: int
    outer_bottom: int
    outer_right: int


def encoder_reach(tokenizer: Tokenizer) -> int | None:
    """Tell how far a latent depends on its surroundings.

    Args:
        tokenizer: the model.

    Returns:
        Sites to each side; None if it depends on the whole image.
    """
    config = tokenizer.config
    if not isinstance(config, TokenizerConfig) or config.attention:
        return None
    pixels = stride = int(config.patch_size)
    for _ in config.channels:
        pixels += 2 * config.encoder_blocks * stride
        stride *= 2
    return -(-pixels // config.downsampling)


def decoder_reach(tokenizer: Tokenizer) -> int | None:
    """Tell how far pixels depend on the sites around theirs.

    Args:
        tokenizer: the model.

    Returns:
        Sites to each side; None if they depend on the whole image.
    """
    config = tokenizer.config
    if not isinstance(config, TokenizerConfig) or config.attention:
        return None
    stride = int(config.patch_size)
    pixels = config.downsampling + stride
    for _ in config.channels:
        pixels += 2 * config.decoder_blocks * stride
        stride *= 2
    return -(-pixels // config.downsampling)


def tiles(height: int, width: int, reach: int | None, side: int = TILE_SITES) -> Iterator[Tile]:
    """Cut a grid.

    Args:
        height: rows of sites.
        width: columns of sites.
        reach: sites around each tile; None gives one tile.
        side: rows and columns of a tile without its surroundings.

    Yields:
        Tiles in row-major order; without their surroundings they cover the grid once.

    Example:
        >>> [tile[:4] for tile in tiles(3, 5, reach=1, side=4)]
        [(0, 0, 3, 4), (0, 4, 3, 5)]
    """
    if reach is None:
        yield Tile(0, 0, height, width, 0, 0, height, width)
        return
    for top in range(0, height, side):
        for left in range(0, width, side):
            bottom, right = min(top + side, height), min(left + side, width)
            outer = (max(top - reach, 0), max(left - reach, 0))
            far = (min(bottom + reach, height), min(right + reach, width))
            yield Tile(top, left, bottom, right, *outer, *far)


@torch.no_grad()
def latents_in_tiles(
    tokenizer: Tokenizer, image: UInt8[Tensor, "c H W"], side: int = TILE_SITES
) -> Float[Tensor, "h w d"]:
    """Encode an image without quantizing.

    Args:
        tokenizer: the model.
        image: 8-bit pixels with the model's channels.
        side: rows and columns of a tile, in sites.

    Returns:
        One latent per site, on the CPU.
    """
    factor, device = tokenizer.config.downsampling, tokenizer.quantizer.sigma.device
    height, width = (-(-side_px // factor) for side_px in image.shape[1:])
    latents = torch.empty(height, width, tokenizer.config.quantizer.codebook_dim)
    for tile in tiles(height, width, encoder_reach(tokenizer), side):
        rows = slice(tile.outer_top * factor, tile.outer_bottom * factor)
        columns = slice(tile.outer_left * factor, tile.outer_right * factor)
        pixels = to_float(image[:, rows, columns].to(device)).unsqueeze(0)
        found = tokenizer.latents(pixels)[0]
        latents[tile.top : tile.bottom, tile.left : tile.right] = _middle(found, tile).cpu()
    return latents


@torch.no_grad()
def paint_in_tiles(
    tokenizer: Tokenizer,
    given: DecoderInput,
    size: tuple[int, int],
    side: int = TILE_SITES,
) -> UInt8[Tensor, "c H W"]:
    """Decode latents.

    Args:
        tokenizer: the model.
        given: what to decode.
        size: height and width to crop to, in pixels.
        side: rows and columns of a tile, in sites.

    Returns:
        8-bit pixels, on the CPU.
    """
    config, device = tokenizer.config, tokenizer.quantizer.sigma.device
    factor, (height, width) = config.downsampling, given.lengths.shape
    image = torch.empty(config.image_channels, *size, dtype=torch.uint8)
    for tile in tiles(height, width, decoder_reach(tokenizer), side):
        rows = slice(tile.outer_top, tile.outer_bottom)
        columns = slice(tile.outer_left, tile.outer_right)
        part = tokenizer.paint(
            given.z_q[rows, columns].unsqueeze(0).to(device),
            given.lengths[rows, columns].unsqueeze(0).to(device),
            given.threshold,
        )
        pixels = to_uint8(part[0]).permute(1, 2, 0).cpu()
        middle = _middle(pixels, tile, factor).permute(2, 0, 1)
        top, left = tile.top * factor, tile.left * factor
        target = image[:, top : tile.bottom * factor, left : tile.right * factor]
        target.copy_(middle[:, : target.shape[1], : target.shape[2]])
    return image


def _middle(found: Tensor, tile: Tile, factor: int = 1) -> Tensor:
    """Cut the surroundings off."""
    top = (tile.top - tile.outer_top) * factor
    left = (tile.left - tile.outer_left) * factor
    height = (tile.bottom - tile.top) * factor
    width = (tile.right - tile.left) * factor
    return found[top : top + height, left : left + width]
