"""One image to files: its latents are computed once, whatever is tried."""

from typing import NamedTuple

from jaxtyping import Float, Int, UInt8
from torch import Tensor

from loopyvq.codec.aiming import aim_again
from loopyvq.codec.bound import Bounded, bounded_tokens
from loopyvq.codec.importance import DEFAULT_TUNE, site_importance
from loopyvq.codec.looking import USUAL_EFFORT, looked_tokens
from loopyvq.codec.painting import paint
from loopyvq.codec.pixels import with_channels
from loopyvq.codec.quality import measure_quality
from loopyvq.codec.rate_control import Target, search
from loopyvq.codec.sites import chunks_of
from loopyvq.codec.tiles import latents_in_tiles
from loopyvq.codec.weighing import Aim
from loopyvq.coding import Header, Tables, write_container
from loopyvq.errors import ConfigError
from loopyvq.models import Tokenizer
from loopyvq.ops.similarity import WINDOW_SIZE

__all__ = ["ImageWriter", "Written"]


class Written(NamedTuple):
    """A file and what went into it.

    Attributes:
        found: tokens and latents.
        data: the bytes.
    """

    found: Bounded
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
        effort: how often tokens are looked at as a reader will see them, and chosen anew, where
            they are chosen in context and nothing is promised of each; 0 or more.

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
        if stop == "in_context" and not bound:
            found = looked_tokens(*asked, self.aim_from, self._effort, *tell)
        else:
            found = bounded_tokens(*asked, stop, bound, *tell)
        return Written(found, self._file(found, noted))

    def aim_from(
        self, z_q: Float[Tensor, "h w d"], lengths: Int[Tensor, "h w"], threshold: float
    ) -> Aim:
        """Look at a first choice of tokens as a reader will see it, and aim again.

        Args:
            z_q: as a reader decodes them.
            lengths: tokens per site.
            threshold: the file's, a cue for the decoder.

        Returns:
            Where a second choice should lead, and what counts there.
        """
        where = z_q.cpu(), lengths.cpu(), threshold
        return aim_again(self._tokenizer, self._seen, self.aim, *where, self._tune)

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
        return self._file(best.trial.found, (target.kind, best.value))

    def _value(self, written: Written, kind: str) -> float:
        """Measure a trial: its size, or what a reader would see."""
        if kind == "num_bytes":
            return float(len(written.data))
        if kind == "rate_bpp":
            return 8.0 * len(written.data) / int(self._pixels[0].numel())
        found, (channels, height, width) = written.found, self._pixels.shape
        shape = (channels, height, width)
        image = paint(self._tokenizer, found.z_q, found.tokens.lengths, found.threshold, shape)
        return measure_quality(kind, image, self._pixels)

    def _file(self, found: Bounded, noted: tuple[str, float]) -> bytes:
        size = self._tokenizer.quantizer.codebook_size
        chunks = chunks_of(found, size, self._mode, self._tables)
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
