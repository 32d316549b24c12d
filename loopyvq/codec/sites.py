"""Tokens and remainders of one image to chunks, and chunks to latents."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from loopyvq.codec.bound import Bounded
from loopyvq.codec.coarse import Coarse, read_coarse
from loopyvq.codec.decoder_input import DecoderInput
from loopyvq.codec.escape import apply_escape
from loopyvq.codec.token_pieces import payloads_of, tokens_of
from loopyvq.coding import TOKEN_MODES, Chunk, Container, Header, Tables
from loopyvq.errors import BitstreamError
from loopyvq.quantize import LoopQuantizer
from loopyvq.tokens import Tokens

__all__ = ["DecodedSites", "chunks_of", "read_sites"]


class DecodedSites(NamedTuple):
    """What a file says about its sites.

    Attributes:
        header: of the file.
        tokens: sites of shape ``h w``, as far as they were there.
        z_q: the latents, remainders included.
        bound: what no site's error exceeds, in units of ``sigma``: the threshold if there are
            remainders, else what the header states; None if it states nothing, or not all tokens
            are used.
        num_escaped: sites with a remainder.
        coarse: levels that are added to what is painted, see `read_coarse`; None if nothing is.
    """

    header: Header
    tokens: Tokens
    z_q: Float32[np.ndarray, "h w d"]
    bound: float | None
    num_escaped: int
    coarse: Float64[Tensor, "c h w"] | None = None

    def for_decoder(self) -> DecoderInput:
        """Give what is decoded to an image."""
        return DecoderInput(torch.from_numpy(self.z_q), self.tokens.lengths, self.header.threshold)


def chunks_of(
    found: Bounded,
    codebook_size: int,
    mode: str,
    tables: Tables | None = None,
    coarse: Coarse | None = None,
) -> list[Chunk]:
    """Write what was found as chunks.

    Args:
        found: tokens and remainders.
        codebook_size: number of codes.
        mode: one of `loopyvq.coding.MODES`.
        tables: those to code with.
        coarse: what is added to the image of them.

    Returns:
        A chunk of what is coarse if there is any, chunks of tokens, and an escape chunk if there is
        a bound.
    """
    payloads = payloads_of(found.tokens, codebook_size, mode, tables)
    chunks = [] if coarse is None else [Chunk("coarse", coarse.payload)]
    chunks += [Chunk("tokens", payload) for payload in payloads]
    return chunks if found.escape is None else [*chunks, Chunk("escape", found.escape)]


def read_sites(
    container: Container,
    quantizer: LoopQuantizer,
    grid: tuple[int, int],
    tables: Tables | None = None,
    turns: int | None = None,
) -> DecodedSites:
    """Read tokens and latents.

    Args:
        container: a file, perhaps cut off; its sizes were compared with the limits.
        quantizer: of the model.
        grid: rows and columns of sites.
        tables: those the tokens are coded with.
        turns: use only the first tokens of every site.

    Returns:
        The tokens and latents; without remainders unless all tokens before them are used.

    Raises:
        BitstreamError: no writer makes such chunks.
    """
    header, parts = container.header, _split(container)
    if header.mode == "static" and tables is None:
        raise BitstreamError("the file needs tables that this model does not have")
    kept = parts.tokens[:turns] if header.mode in TOKEN_MODES else parts.tokens
    sizes = (grid, quantizer.max_depth, quantizer.codebook_size)
    tokens = tokens_of(kept, *sizes, header.mode, tables)
    is_cut = turns is not None and (
        len(kept) < len(parts.tokens) or turns < int(tokens.lengths.max().item())
    )
    if turns is not None:
        tokens = tokens.prefix(turns)
    z_q = quantizer.decode(tokens.to(quantizer.sigma.device)).cpu().numpy()
    coarse = None if parts.coarse is None else read_coarse(parts.coarse, header.channels, grid)
    if is_cut or len(container.chunks) < header.num_chunks:
        return DecodedSites(header, tokens, z_q, None, 0, coarse)
    if parts.escape is None:
        return DecodedSites(header, tokens, z_q, header.stated_bound, 0, coarse)
    rows = np.ascontiguousarray(z_q.reshape(-1, z_q.shape[-1]))
    limit = header.threshold * float(quantizer.sigma)
    vectors, num_escaped = apply_escape(parts.escape, rows, limit)
    z_q = vectors.reshape(z_q.shape)
    return DecodedSites(header, tokens, z_q, header.threshold, num_escaped, coarse)


class _Parts(NamedTuple):
    coarse: bytes | None
    tokens: list[bytes]
    escape: bytes | None


def _split(container: Container) -> _Parts:
    """Tell chunks apart: what is coarse is the first, the escape is the last."""
    chunks, coarse, escaped = list(container.chunks), None, None
    if chunks and chunks[0].kind == "coarse":
        coarse = chunks.pop(0).payload
    if (
        chunks
        and chunks[-1].kind == "escape"
        and len(container.chunks) == container.header.num_chunks
    ):
        escaped = chunks.pop().payload
    if any(chunk.kind != "tokens" for chunk in chunks):
        raise BitstreamError("the file has chunks where an image has none")
    return _Parts(coarse, [chunk.payload for chunk in chunks], escaped)
