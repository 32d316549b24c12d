"""How a tokenizer is read to make the files of one curve."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from loopyvq.codec import Codec
from loopyvq.codec.decoder_input import DecoderInput
from loopyvq.codec.importance import DEFAULT_TUNE
from loopyvq.codec.looking import USUAL_EFFORT
from loopyvq.codec.searching import USUAL_WAYS
from loopyvq.codec.token_pieces import payloads_of
from loopyvq.codec.weighing import weighed_tokens
from loopyvq.codec.writer import ImageWriter
from loopyvq.coding import Chunk, Tables, read_container, write_container
from loopyvq.errors import ConfigError
from loopyvq.quantize import LoopQuantizer
from loopyvq.tokens import Tokens

__all__ = ["BIT_PRICES", "THRESHOLDS", "Reading", "files_of", "mean_error"]

THRESHOLDS = (1.2, 0.74, 0.5, 0.36, 0.27, 0.2, 0.15, 0.1, 0.07, 0.045)
"""From the coarsest images to the finest that a small model reaches."""
# Price of a bit at fixed depth, as a share of the mean squared error that nearest codes leave.
BIT_PRICES = {"psnr": 0.05, "balanced": 0.03, "ms_ssim": 0.02}
"""By tune, those that need the fewest bytes; of ``balanced`` between the others."""
# At the largest depth cheaper bits as well: what takes the curve on to where dear ones end.
_CHEAPER = (0.4, 0.15)


class Reading(NamedTuple):
    """One curve of one model.

    Attributes:
        name: of the curve.
        model: path of the tokenizer, best with tables that were fitted for such a reading.
        fixed_depth: whether all sites get the same number of tokens: 1, 2, ... to all turns.
        thresholds: the settings if not.
        stop: when a site has enough tokens, one of `loopyvq.codec.bound.STOP_RULES`.
        bound: whether the files promise their threshold at every site.
        tune: what errors are weighed for, one of `loopyvq.codec.importance.TUNES`.
        priced: at fixed depth, whether codes are chosen by what they cost in context, which gives
            it what ``in_context`` gives a variable length.
        effort: where codes are chosen in context, how often the image is looked at meanwhile.
    """

    name: str
    model: Path
    fixed_depth: bool = False
    thresholds: tuple[float, ...] = THRESHOLDS
    stop: str = "rate_distortion"
    bound: bool = False
    tune: str = DEFAULT_TUNE
    priced: bool = False
    effort: int = USUAL_EFFORT


def files_of(
    codec: Codec, image: UInt8[Tensor, "c H W"], reading: Reading
) -> Iterator[tuple[str, bytes]]:
    """Write all files of a curve for one image.

    Args:
        codec: of the reading's model.
        image: 8-bit pixels.
        reading: the curve.

    Yields:
        Settings and files, each decodable on its own.

    Raises:
        ConfigError: the model has no such stop rule, or no tables to take prices from.
    """
    writer = codec.writer(image, tune=reading.tune, effort=reading.effort)
    if reading.fixed_depth and reading.priced:
        yield from _priced_files(codec, writer, reading)
        return
    if reading.fixed_depth:
        header, chunks = read_container(writer.write(0.0, "threshold", False).data)
        for turns in range(1, len(chunks) + 1):
            told = header._replace(threshold=_cue(codec.tokenizer.quantizer, turns))
            yield f"{turns} turns", write_container(told, chunks[:turns])
        return
    for threshold in reading.thresholds:
        yield f"{threshold:g}", writer.write(threshold, reading.stop, reading.bound).data


def _priced_files(
    codec: Codec, writer: ImageWriter, reading: Reading
) -> Iterator[tuple[str, bytes]]:
    """Give every site 1, 2, ... tokens, all codes chosen anew for so many."""
    if codec.tables is None:
        raise ConfigError("codes are priced with the model's tables: fit them with loopyvq tables")
    usual, depth = BIT_PRICES[reading.tune], codec.tokenizer.quantizer.max_depth
    priced = _PricedCodes(codec.tokenizer.quantizer, codec.tables, writer, reading.effort)
    for turns in range(1, depth + 1):
        yield f"{turns} turns", priced.file(turns, usual)
    for share in _CHEAPER:
        yield f"{depth} turns at {share:g} of the price", priced.file(depth, share * usual)


class _PricedCodes:
    """Writes files of one image with the same number of tokens at every site."""

    def __init__(
        self, quantizer: LoopQuantizer, tables: Tables, writer: ImageWriter, effort: int
    ) -> None:
        self._quantizer, self._tables = quantizer, tables
        self._writer, self._effort = writer, effort
        self._latents = writer.aim.latents
        self._header, _ = read_container(writer.write(0.0, "threshold", False).data)

    def file(self, turns: int, price: float) -> bytes:
        """Write a file; a bit costs that share of the mean squared error."""
        quantizer, tables, latents = self._quantizer, self._tables, self._latents
        start = quantizer.encode(latents, 0.0, turns)
        price *= mean_error(quantizer, latents, start)
        cue, found, aim = _cue(quantizer, turns), start, self._writer.aim
        for rest in reversed(range(max(self._effort, 1))):
            if self._effort:
                aim = self._writer.aim_from(_for_decoder(quantizer, found, cue), price)
            ways = USUAL_WAYS if self._effort and not rest else 1
            found = weighed_tokens(
                quantizer, latents, tables, start, price, may_stop=False, aim=aim, ways=ways
            )
        payloads = payloads_of(found, quantizer.codebook_size, "context", tables)
        chunks = [Chunk("tokens", payload) for payload in payloads]
        if self._effort:
            coarse = self._writer.coarse_of(_for_decoder(quantizer, found, cue), price)
            chunks[:0] = [] if coarse is None else [Chunk("coarse", coarse.payload)]
        header = self._header._replace(num_chunks=len(chunks), threshold=cue)
        return write_container(header, chunks)


def mean_error(quantizer: LoopQuantizer, latents: Float[Tensor, "h w d"], tokens: Tokens) -> float:
    """Give the mean squared error of an image's sites, in units of ``sigma`` squared.

    Args:
        quantizer: of the model.
        latents: of the image.
        tokens: their tokens.

    Returns:
        The mean over all sites.
    """
    error = (latents - quantizer.decode(tokens)) / quantizer.sigma
    return float(error.square().sum(dim=-1).mean())


def _for_decoder(quantizer: LoopQuantizer, tokens: Tokens, cue: float) -> DecoderInput:
    return DecoderInput(quantizer.decode(tokens).cpu(), tokens.lengths.cpu(), cue)


def _cue(quantizer: LoopQuantizer, turns: int) -> float:
    """Give the threshold that the decoder should be told of, as images of such a length had it.

    Without it, one token per site of a network trained for variable lengths lost 0.15 dB, and six
    lost 0.46 dB. A network trained for fixed depths has only seen 0.
    """
    if quantizer.config.threshold == 0:
        return 0.0
    length = torch.tensor(float(min(turns, quantizer.max_depth - 0.5)))
    return float(quantizer.length_curve.threshold_for(length.to(quantizer.sigma.device)))
