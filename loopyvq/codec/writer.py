"""One image to files: its latents are computed once, whatever is tried."""

from typing import NamedTuple

from jaxtyping import UInt8
from torch import Tensor

from loopyvq.codec.aiming import aim_again
from loopyvq.codec.bound import Bounded, bounded_tokens
from loopyvq.codec.coarse import Coarse, add_coarse, fit_coarse, without_coarse
from loopyvq.codec.decoder_input import DecoderInput
from loopyvq.codec.importance import DEFAULT_TUNE, site_importance
from loopyvq.codec.looking import USUAL_EFFORT, looked_tokens
from loopyvq.codec.painting import paint
from loopyvq.codec.pixels import squared_error, with_channels
from loopyvq.codec.quality import measure_quality
from loopyvq.codec.rate_control import Target, search
from loopyvq.codec.searching import USUAL_WAYS
from loopyvq.codec.sites import chunks_of
from loopyvq.codec.stakes import Aim, price_of_bit
from loopyvq.codec.tiles import latents_in_tiles
from loopyvq.coding import Header, Tables, write_container
from loopyvq.errors import ConfigError
from loopyvq.models import Tokenizer
from loopyvq.ops.similarity import WINDOW_SIZE

__all__ = ["ImageWriter", "Written"]


class Written(NamedTuple):
    """A file and what went into it.

    Attributes:
        found: tokens and latents.
        coarse: what is added to them, if anything.
        data: the bytes.
    """

    found: Bounded
    coarse: Coarse | None
    data: bytes


class ImageWriter:
    """Write files of one image.

    Args:
        tokenizer: the model.
        tables: those to code with, if any.
        identity: what a reader must have, as the header names it.
        pixels: 8-bit, grey or with the model's channels.
        mode: how tokens are coded.
        tune: what errors are weighed for, see `site_importance`.
        effort: how often tokens are looked at as a reader will see them, and chosen anew, at last
            along several ways at every site, where they are chosen in context and nothing is
            promised of each; 0 or more.

    Raises:
        ConfigError: the image has other channels, ``tune`` is none of the known, or ``effort`` is
            negative.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        tables: Tables | None,
        identity: str,
        pixels: UInt8[Tensor, "c H W"],
        mode: str,
        tune: str = DEFAULT_TUNE,
        effort: int = USUAL_EFFORT,
    ) -> None:
        if effort < 0:
            raise ConfigError(f"effort must be 0 or more, got {effort}")
        importance = site_importance(pixels, tokenizer.config.downsampling, tune)
        self._seen = with_channels(pixels, tokenizer.config.image_channels)
        self.aim = Aim(latents_in_tiles(tokenizer, self._seen), importance=importance)
        self._tokenizer, self._tables, self._identity = tokenizer, tables, identity
        self._pixels, self._mode = pixels, mode
        self._tune, self._effort = tune, effort

    def write(
        self,
        threshold: float,
        stop: str = "threshold",
        bound: bool = True,
        min_length: int | None = None,
        noted: tuple[str, float] = ("", 0.0),
    ) -> Written:
        """Write a file; arguments as of `bounded_tokens`.

        Args:
            threshold: stop distance in units of ``sigma``.
            stop: when a site has enough tokens.
            bound: whether every site must be within the threshold.
            min_length: tokens that every site gets at least.
            noted: what the header says that was asked for and reached.

        Returns:
            The file.

        Raises:
            ConfigError: an option is out of range.
        """
        quantizer = self._tokenizer.quantizer
        tables = self._tables if self._mode == "context" else None
        asked = quantizer, self.aim.latents, threshold
        tell = min_length, tables, self.aim
        coarse = None
        if stop == "in_context" and not bound:
            ways = USUAL_WAYS if self._effort else 1
            found = looked_tokens(*asked, self.aim_from, self._effort, *tell, ways)
            if self._effort:
                coarse = self.coarse_of(found.for_decoder())
        else:
            found = bounded_tokens(*asked, stop, bound, *tell)
        return Written(found, coarse, self._file(found, coarse, noted))

    def aim_from(self, given: DecoderInput, price: float | None = None) -> Aim:
        """Look at a first choice of tokens as a reader will see it, and aim again.

        Args:
            given: the tokens, as a reader decodes them.
            price: of a bit, in units of ``sigma`` squared; by default that of the threshold.

        Returns:
            Where a second choice should lead, and what counts there.
        """
        seen = self._painted(self._seen, given)
        coarse = self._coarse(self._seen, seen, given, price)
        if coarse is None:
            return aim_again(self._tokenizer, self._seen, self.aim, given, self._tune)
        rest = without_coarse(self._seen, coarse.grid)
        first = self.aim._replace(latents=latents_in_tiles(self._tokenizer, rest))
        return aim_again(self._tokenizer, rest, first, given, self._tune, rest_of=seen)

    def coarse_of(self, given: DecoderInput, price: float | None = None) -> Coarse | None:
        """Find what tokens leave over wide areas; arguments as of `aim_from`.

        Returns:
            What a file should add, or None where that would not pay.
        """
        return self._coarse(self._pixels, self._painted(self._pixels, given), given, price)

    def reach(self, target: Target, stop: str, bound: bool, min_length: int | None = None) -> bytes:
        """Search for the file that meets a target.

        Args:
            target: what must be met.
            stop: as of `write`, like all that follows.
            bound: whether every site must be within the threshold.
            min_length: tokens that every site gets at least.

        Returns:
            The file, which says what it reached.

        Raises:
            ConfigError: an option is out of range, or the target cannot be reached.
        """
        if target.kind == "ssim" and min(self._pixels.shape[1:]) < WINDOW_SIZE:
            raise ConfigError(f"SSIM needs at least {WINDOW_SIZE} pixels along each side")
        asked = (target.kind, 0.0)  # as many bytes as there will be
        best = search(
            lambda threshold: self.write(threshold, stop, bound, min_length, asked),
            lambda written: self._value(written, target.kind),
            target,
        )
        return self._file(best.trial.found, best.trial.coarse, (target.kind, best.value))

    def _value(self, written: Written, kind: str) -> float:
        """Measure a trial: its size, or what a reader would see."""
        if kind == "num_bytes":
            return float(len(written.data))
        if kind == "rate_bpp":
            return 8.0 * len(written.data) / int(self._pixels[0].numel())
        image = self._painted(self._pixels, written.found.for_decoder())
        if written.coarse is not None:
            image = add_coarse(image, written.coarse.grid)
        return measure_quality(kind, image, self._pixels)

    def _painted(self, like: UInt8[Tensor, "c H W"], given: DecoderInput) -> UInt8[Tensor, "c H W"]:
        """Paint tokens, with as many channels as an image."""
        channels, height, width = like.shape
        return paint(self._tokenizer, given, (channels, height, width))

    def _coarse(
        self,
        pixels: UInt8[Tensor, "c H W"],
        seen: UInt8[Tensor, "c H W"],
        given: DecoderInput,
        price: float | None,
    ) -> Coarse | None:
        """Fit a coarse residual, a squared error of pixels being worth what one of latents is."""
        wrong = squared_error(pixels, seen)
        left = float((self.aim.latents - given.z_q).square().sum())
        if price is None:
            price = price_of_bit(given.threshold)
        if not left * price > 0:
            return None
        unit = float(self._tokenizer.quantizer.sigma) ** 2
        sites = int(given.z_q.shape[0]), int(given.z_q.shape[1])
        return fit_coarse(pixels, seen, sites, price * unit * wrong / left)

    def _file(self, found: Bounded, coarse: Coarse | None, noted: tuple[str, float]) -> bytes:
        size = self._tokenizer.quantizer.codebook_size
        chunks = chunks_of(found, size, self._mode, self._tables, coarse)
        channels, height, width = self._pixels.shape
        sizes = (height, width, channels, found.tokens.max_depth)
        header = Header(
            self._mode,
            self._identity,
            *sizes,
            found.threshold,
            len(chunks),
            *noted,
            found.bound_steps,
        )
        return write_container(header, chunks)
