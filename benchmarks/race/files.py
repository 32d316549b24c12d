"""The files of one image for every way in which an entry can be read."""

from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from loopyvq.codec import Codec
from loopyvq.codec.token_pieces import payloads_of
from loopyvq.codec.weighing import weighed_tokens
from loopyvq.coding import Chunk, read_container, write_container
from loopyvq.evaluation.rd_systems import Reading, files_of

__all__ = ["DROPPED", "PRICED", "curves_of"]

# Mean lengths, as shares of the largest, at which a loop is read: about .04 to .8 bit/pixel.
_SHARES = (0.06, 0.12, 0.2, 0.3, 0.42, 0.56, 0.72, 0.86, 0.97)
# Price of a bit at fixed depth, as a share of the mean squared error: the best of .01, .02, .05.
_BIT_PRICE = 0.02
PRICED, DROPPED = "priced codes", "uniform tail drop"


def curves_of(
    codec: Codec, name: str, folder: Path, fixed_depth: bool, image: UInt8[Tensor, "c H W"]
) -> Iterator[tuple[str, str, bytes]]:
    """Write all files of an entry for one image.

    Args:
        codec: of the entry.
        name: of the entry.
        folder: where its model is.
        fixed_depth: whether it was trained so.
        image: 8-bit pixels.

    Yields:
        Name of the curve, setting and file.
    """
    if fixed_depth:
        for setting, data in files_of(codec, image, Reading(name, folder, fixed_depth=True)):
            yield name, setting, data
        for setting, data in _priced_files(codec, image):
            yield f"{name}, {PRICED}", setting, data
        return
    quantizer = codec.tokenizer.quantizer
    lengths = torch.tensor(_SHARES) * quantizer.max_depth
    thresholds = tuple(quantizer.length_curve.threshold_for(lengths).tolist())
    for stop in ("threshold", "rate_distortion", "in_context"):
        reading = Reading(f"{name}, {stop} stop", folder, False, thresholds, stop)
        for setting, data in files_of(codec, image, reading):
            yield reading.name, setting, data
    for setting, data in files_of(codec, image, Reading(name, folder, fixed_depth=True)):
        yield f"{name}, {DROPPED}", setting, data


def _priced_files(codec: Codec, image: UInt8[Tensor, "c H W"]) -> Iterator[tuple[str, bytes]]:
    """Give fixed depth what the loop has: codes chosen by what they cost in context."""
    writer, quantizer = codec.writer(image), codec.tokenizer.quantizer
    header, _ = read_container(writer.write(0.0, "threshold", False).data)
    tables = codec.tables
    if tables is None:
        raise ValueError("prices come from tables: fit them first")
    for turns in range(1, quantizer.max_depth + 1):
        start = quantizer.encode(writer.latents, 0.0, turns)
        error = (writer.latents - quantizer.decode(start)) / quantizer.sigma
        price = _BIT_PRICE * float(error.square().sum(dim=-1).mean())
        found = weighed_tokens(quantizer, writer.latents, tables, start, price, may_stop=False)
        payloads = payloads_of(found, quantizer.codebook_size, "context", tables)
        chunks = [Chunk("tokens", payload) for payload in payloads]
        yield f"{turns} turns", write_container(header._replace(num_chunks=len(chunks)), chunks)
