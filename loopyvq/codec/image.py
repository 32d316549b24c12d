"""Images to the bytes of a file and back, with a bound at every site.

image --encoder--> z_e --bounded_tokens--> Tokens, escape --chunks--> bytes
bytes --chunks--> Tokens, escape --> z_q, lengths --decoder--> image
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from loopyvq.checkpoint import load_tokenizer
from loopyvq.codec.coarse import add_coarse
from loopyvq.codec.escape import distances
from loopyvq.codec.importance import DEFAULT_TUNE
from loopyvq.codec.limits import ReadingLimits
from loopyvq.codec.looking import USUAL_EFFORT
from loopyvq.codec.painting import paint
from loopyvq.codec.pixels import pixels_of, with_channels
from loopyvq.codec.rate_control import Target, threshold_of_quality
from loopyvq.codec.sites import DecodedSites, read_sites
from loopyvq.codec.tables import coding_identity, load_tables
from loopyvq.codec.tiles import latents_in_tiles
from loopyvq.codec.token_pieces import check_mode
from loopyvq.codec.writer import ImageWriter
from loopyvq.coding import Header, Tables, read_container
from loopyvq.coding.header import MODEL_DIGITS
from loopyvq.errors import BitstreamError, ConfigError
from loopyvq.models import Tokenizer

__all__ = ["Codec", "DecodedSites", "Verified"]

_WITH_TABLES = ("static", "adaptive", "context")


class Verified(NamedTuple):
    """A file against the image it was made from.

    Attributes:
        worst: largest error of a site's latent, in units of ``sigma``.
        threshold: the file's.
        share_within: share of sites within the threshold.
        bound: what the file promises of the worst site, in the same units; None if nothing.
    """

    worst: float
    threshold: float
    share_within: float
    bound: float | None


class Codec:
    """Compress images with a tokenizer, and decompress them.

    Args:
        tokenizer: the model, in evaluation mode.
        tables: its entropy tables; files that use them need them to be read.
        limits: what a file may announce.

    Raises:
        ConfigError: the model does not take images.

    Example:
        >>> from loopyvq import TokenizerConfig
        >>> codec = Codec(Tokenizer(TokenizerConfig(channels=(8, 16))).eval())
        >>> image = torch.zeros(3, 20, 33, dtype=torch.uint8)
        >>> data = codec.compress(image, threshold=0.5)
        >>> codec.decompress(data).shape, codec.verify(data, image).worst <= 0.5
        (torch.Size([3, 20, 33]), True)
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        tables: Tables | None = None,
        limits: ReadingLimits | None = None,
    ) -> None:
        paints = not tokenizer.config.label_maps
        if not paints or tokenizer.config.image_channels not in (1, 3) or tokenizer.training:
            raise ConfigError("a codec needs a model of images, in evaluation mode")
        self.tokenizer = tokenizer
        self.tables = tables
        self.limits = limits or ReadingLimits()
        self._plain = coding_identity(tokenizer, None)[:MODEL_DIGITS]
        self._with_tables = coding_identity(tokenizer, tables)[:MODEL_DIGITS]

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str | torch.device = "cpu",
        limits: ReadingLimits | None = None,
    ) -> "Codec":
        """Read a tokenizer with its tables.

        Args:
            path: as for `load_tokenizer`.
            device: where to run the networks.
            limits: what a file may announce.

        Returns:
            The codec.

        Raises:
            CheckpointError: the file cannot be read.
        """
        return cls(load_tokenizer(path, device), load_tables(path), limits)

    def compress(
        self,
        image: Tensor | np.ndarray,
        threshold: float | None = None,
        *,
        target: Target | None = None,
        quality: float | None = None,
        stop: str | None = None,
        bound: bool | None = None,
        min_length: int | None = None,
        mode: str = "context",
        tune: str | None = None,
        effort: int | None = None,
    ) -> bytes:
        """Write an image as a file.

        Args:
            image: 8-bit pixels, ``c H W``, grey or colour.
            threshold: largest error of a site's latent, in units of ``sigma``, 0 or more; by
                default the model's own.
            target: what to reach in place of a threshold.
            quality: 1 to 100, in place of a threshold, see `threshold_of_quality`.
            stop: when a site has enough tokens, see `bounded_tokens`; by default ``threshold`` for
                a threshold, and for a target or a quality the best that the model can:
                ``in_context`` with tables, or ``rate_distortion``.
            bound: whether every site must be within the threshold, which costs bytes for what the
                loop leaves outside; by default only for a threshold, and not for the 0 of a model
                of fixed depth.
            min_length: tokens that every site gets at least, see `bounded_tokens`.
            mode: how tokens are coded, one of `loopyvq.coding.MODES`.
            tune: what errors are weighed for, one of `loopyvq.codec.importance.TUNES`; by default
                ``balanced``. Only ``in_context`` weighs.
            effort: how often the image is looked at as a reader will see it, and its tokens chosen
                anew, at last along several ways at every site: more time and fewer bytes; by
                default once. Only ``in_context`` without a bound looks.

        Returns:
            The bytes.

        Raises:
            ConfigError: an option is out of range, or the target cannot be reached.
        """
        if sum(value is not None for value in (threshold, target, quality)) > 1:
            raise ConfigError("give one of threshold, quality and target")
        config = self.tokenizer.config.quantizer
        free = target is None and quality is None
        if stop is None and (free or config.transform != "residual"):
            stop = "threshold"
        elif stop is None:
            weighs = mode == "context" and self.tables is not None
            stop = "in_context" if weighs else "rate_distortion"
        if bound is None:
            bound = free and (threshold is not None or config.threshold > 0)
        if tune is not None and stop != "in_context":
            raise ConfigError(f"only stop in_context weighs errors for tune {tune}, got {stop}")
        if effort is not None and (stop != "in_context" or bound):
            raise ConfigError(
                "only stop in_context, without a bound, looks again: effort is for it"
            )
        writer = self.writer(image, mode, tune or DEFAULT_TUNE, effort)
        if target is not None:
            return writer.reach(target, stop, bound, min_length)
        if quality is not None:
            noted = ("quality", quality)
            at = threshold_of_quality(quality)
            return writer.write(at, stop, bound, min_length, noted).data
        at = config.threshold if threshold is None else threshold
        return writer.write(at, stop, bound, min_length).data

    def writer(
        self,
        image: Tensor | np.ndarray,
        mode: str = "context",
        tune: str = DEFAULT_TUNE,
        effort: int | None = None,
    ) -> ImageWriter:
        """Prepare an image for several files of it, which share the work of the encoder.

        Args:
            image: 8-bit pixels, ``c H W``, grey or colour.
            mode: how tokens are coded, one of `loopyvq.coding.MODES`.
            tune: what errors are weighed for, see `compress`.
            effort: see `compress`.

        Returns:
            The writer.

        Raises:
            ConfigError: there is no such mode, it needs tables, or the image has other channels.
        """
        check_mode(mode, self.tables)
        tables = self.tables if mode in _WITH_TABLES else None
        identity = self._plain if tables is None else self._with_tables
        return ImageWriter(
            self.tokenizer,
            tables,
            identity,
            pixels_of(image),
            mode,
            tune,
            USUAL_EFFORT if effort is None else effort,
        )

    def decompress(
        self, data: bytes, turns: int | None = None, partial: bool = False
    ) -> UInt8[Tensor, "c H W"]:
        """Read an image.

        Args:
            data: the bytes of a file.
            turns: use only the first tokens of every site.
            partial: whether to take what is there of a file that was cut off.

        Returns:
            8-bit pixels, grey or colour as they were.

        Raises:
            BitstreamError: the bytes are damaged, cut off, of another model, or beyond the limits.
            ConfigError: ``turns`` is negative.
        """
        return self.paint(self.decode_sites(data, turns, partial))

    def paint(self, sites: DecodedSites) -> UInt8[Tensor, "c H W"]:
        """Give the image of sites that were read.

        Args:
            sites: as `decode_sites` gives them.

        Returns:
            8-bit pixels, grey or colour as they were.
        """
        header = sites.header
        shape = (header.channels, header.height, header.width)
        painted = paint(self.tokenizer, sites.for_decoder(), shape)
        return painted if sites.coarse is None else add_coarse(painted, sites.coarse)

    def decode_sites(
        self, data: bytes, turns: int | None = None, partial: bool = False
    ) -> DecodedSites:
        """Read tokens and latents without painting them; arguments as for `decompress`."""
        if turns is not None and turns < 0:
            raise ConfigError(f"turns must be 0 or more, got {turns}")
        container = read_container(data, partial)
        grid = self._check(container.header)
        tables = self.tables if container.header.model == self._with_tables else None
        return read_sites(container, self.tokenizer.quantizer, grid, tables, turns)

    def verify(self, data: bytes, image: Tensor | np.ndarray) -> Verified:
        """Compare the latents of a file with those of the image.

        Args:
            data: the bytes of a file.
            image: what it was made from.

        Returns:
            The worst site.

        Raises:
            BitstreamError: the file cannot be read, or is of an image of another size.
        """
        pixels = pixels_of(image)
        sites = self.decode_sites(data)
        header = sites.header
        if (header.channels, header.height, header.width) != tuple(pixels.shape):
            raise BitstreamError(
                f"the file holds {header.channels} x {header.height} x {header.width} pixels, "
                f"the image {' x '.join(map(str, pixels.shape))}"
            )
        latents = latents_in_tiles(
            self.tokenizer, with_channels(pixels, self.tokenizer.config.image_channels)
        ).numpy()
        width, sigma = latents.shape[-1], float(self.tokenizer.quantizer.sigma)
        errors = distances(latents.reshape(-1, width), sites.z_q.reshape(-1, width)) / sigma
        within = float((errors <= header.threshold).mean())
        return Verified(float(errors.max()), header.threshold, within, sites.bound)

    def _check(self, header: Header) -> tuple[int, int]:
        """Compare a header with the model and the limits, before anything is allocated."""
        config = self.tokenizer.config
        if header.channels not in (1, config.image_channels) or 0 in (header.height, header.width):
            what = "an array" if header.channels == 0 else f"{header.channels} channels"
            raise BitstreamError(f"the file holds {what}, which is no image of this model")
        if header.model not in (self._plain, self._with_tables):
            raise BitstreamError(
                f"the file was made by model {header.model}, not by this one ({self._with_tables})"
            )
        if header.max_depth != config.quantizer.max_depth:
            raise BitstreamError(f"this model has no sites of {header.max_depth} turns")
        factor = config.downsampling
        sites = (-(-header.height // factor), -(-header.width // factor))
        self.limits.check(header, sites[0] * sites[1])
        return sites
