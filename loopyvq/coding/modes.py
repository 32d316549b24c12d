"""How a file's tokens are coded: one byte in its header, one line in the table.

The four spellings are here by number only: whoever knows tokens as a sequence
(`loopyvq.spelling`) packs that sequence with `loopyvq.coding.pack_symbols`.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Integer

from loopyvq.coding.in_context import LearningContextModel, NetworkModel
from loopyvq.coding.order_zero import AdaptiveModel, StaticModel
from loopyvq.coding.plain import decode_packed, decode_padded, encode_packed, encode_padded
from loopyvq.coding.tables import Tables
from loopyvq.coding.turns import (
    CONTINUE,
    PAD,
    CodedTokens,
    TurnModel,
    decode_turns,
    encode_turns,
    measure_turns,
)

__all__ = [
    "LARGEST_CODEBOOK",
    "MODES",
    "TOKEN_MODES",
    "decode_tokens",
    "encode_tokens",
    "ideal_bits",
]

MODES = {
    "padded": 0,
    "packed": 1,
    "flat": 2,
    "dummy": 3,
    "run_length": 4,
    "depth_major": 5,
    "static": 6,
    "adaptive": 7,
    "context": 8,
}
# Those that code `CodedTokens`; the others code what a spelling made of them.
TOKEN_MODES = ("padded", "packed", "static", "adaptive", "context")
LARGEST_CODEBOOK = 1 << 20


def encode_tokens(
    codes: Integer[np.ndarray, "*n l"],
    lengths: Integer[np.ndarray, "*n"],
    codebook_size: int,
    mode: str = "context",
    tables: Tables | None = None,
) -> list[bytes]:
    """Write tokens as one piece of bytes per turn.

    Args:
        codes: a code or -2 before a site's length, -1 from there on.
        lengths: of sites on a grid ``h w``, or of vectors ``n`` that are no neighbours.
        codebook_size: number of codes.
        mode: one of `TOKEN_MODES`.
        tables: as fitted to such tokens. ``static`` needs them; without them ``adaptive`` and
            ``context`` learn in the tokens themselves. The decoder needs the same.

    Returns:
        Pieces; of the first ``n`` of them the decoder makes the first ``n`` tokens of every site.

    Raises:
        ValueError: the tokens are not valid, the mode is unknown, or the tables do not fit.

    Example:
        >>> codes = np.array([[[3, 0], [1, PAD]]])
        >>> pieces = encode_tokens(codes, np.array([[2, 1]]), codebook_size=4)
        >>> decode_tokens(pieces[:1], (1, 2), 2, codebook_size=4).codes.tolist()
        [[[3, -1], [1, -1]]]
    """
    _check_mode(mode, tables, codebook_size, codes.shape[-1])
    codes, lengths = codes.astype(np.int64), lengths.astype(np.int64)
    _check_tokens(codes, lengths, codebook_size)
    shape = _grid(lengths.shape)
    grid = CodedTokens(codes.reshape(*shape, codes.shape[-1]), lengths.reshape(shape))
    if mode == "padded":
        return encode_padded(*grid, codebook_size)
    if mode == "packed":
        return encode_packed(*grid, codebook_size)
    model = _model(mode, tables, codebook_size, lengths.shape)
    return encode_turns(*grid, codebook_size, model)


def ideal_bits(
    codes: Integer[np.ndarray, "*n l"],
    lengths: Integer[np.ndarray, "*n"],
    codebook_size: int,
    mode: str = "context",
    tables: Tables | None = None,
) -> float:
    """Tell what a perfect coder would need with the same model.

    Args:
        codes: as for `encode_tokens`.
        lengths: as for `encode_tokens`.
        codebook_size: number of codes.
        mode: ``static``, ``adaptive`` or ``context``.
        tables: as for `encode_tokens`.

    Returns:
        Bits.

    Raises:
        ValueError: the mode has no model, the tokens are not valid, or the tables do not fit.
    """
    _check_mode(mode, tables, codebook_size, codes.shape[-1])
    _check_tokens(codes, lengths, codebook_size)
    if mode in ("padded", "packed"):
        raise ValueError(f"mode {mode!r} has no model")
    shape = _grid(lengths.shape)
    model = _model(mode, tables, codebook_size, lengths.shape)
    grid_codes = codes.reshape(*shape, codes.shape[-1])
    return measure_turns(grid_codes, lengths.reshape(shape), codebook_size, model)


def decode_tokens(
    pieces: Sequence[bytes],
    sites: tuple[int, ...],
    max_depth: int,
    codebook_size: int,
    mode: str = "context",
    tables: Tables | None = None,
) -> CodedTokens:
    """Read tokens that `encode_tokens` wrote.

    Memory is bound by sites times depth, and in ``context`` by the codebook's size times 512: check
    these before. Whatever the bytes, the result is valid tokens or an error.

    Args:
        pieces: all, or the first of them.
        sites: ``(h, w)`` or ``(n,)``.
        max_depth: largest length of a site.
        codebook_size: number of codes.
        mode: the encoder's.
        tables: the encoder's.

    Returns:
        The tokens, as far as the pieces go.

    Raises:
        BitstreamError: no encoder writes such pieces.
        ValueError: the mode is unknown, or the tables do not fit.
    """
    _check_mode(mode, tables, codebook_size, max_depth)
    shape = _grid(sites)
    if mode == "padded":
        tokens = decode_padded(pieces, shape, max_depth, codebook_size)
    elif mode == "packed":
        tokens = decode_packed(pieces, shape, max_depth, codebook_size)
    else:
        model = _model(mode, tables, codebook_size, sites)
        tokens = decode_turns(pieces, shape, max_depth, codebook_size, model)
    return CodedTokens(tokens.codes.reshape(*sites, max_depth), tokens.lengths.reshape(sites))


def _model(
    mode: str, tables: Tables | None, codebook_size: int, sites: tuple[int, ...]
) -> TurnModel:
    neighbours = len(sites) == 2
    if mode == "adaptive":
        return AdaptiveModel(codebook_size, tables)
    if mode == "static" and tables is not None:
        return StaticModel(tables)
    if tables is None:
        return LearningContextModel(codebook_size, neighbours)
    return NetworkModel(tables, _grid(sites), neighbours)


def _grid(sites: tuple[int, ...]) -> tuple[int, int]:
    if len(sites) not in (1, 2):
        raise ValueError(f"sites must be (h, w) or (n,), got {sites}")
    return (sites[0], sites[1] if len(sites) == 2 else 1)


def _check_mode(mode: str, tables: Tables | None, codebook_size: int, max_depth: int) -> None:
    if mode not in TOKEN_MODES:
        raise ValueError(f"mode must be one of {', '.join(TOKEN_MODES)}, got {mode!r}")
    if mode == "static" and tables is None:
        raise ValueError("mode 'static' needs tables; 'adaptive' and 'context' can do without")
    if not 1 <= codebook_size <= LARGEST_CODEBOOK:
        raise ValueError(f"codebook_size must be 1..{LARGEST_CODEBOOK}, got {codebook_size}")
    if tables is not None and (tables.codebook_size, tables.max_depth) != (
        codebook_size,
        max_depth,
    ):
        raise ValueError(
            f"tables for {tables.codebook_size} codes and {tables.max_depth} turns do not fit "
            f"tokens of {codebook_size} codes and {max_depth} turns"
        )


def _check_tokens(
    codes: Integer[np.ndarray, "*n l"], lengths: Integer[np.ndarray, "*n"], codebook_size: int
) -> None:
    depth = codes.shape[-1]
    ran = np.arange(depth) < lengths[..., None]
    legal = ((codes >= 0) & (codes < codebook_size)) | (codes == CONTINUE)
    if lengths.size and (lengths.min() < 0 or lengths.max() > depth):
        raise ValueError(f"lengths must be within 0..{depth}")
    if not np.where(ran, legal, codes == PAD).all():
        raise ValueError(
            f"codes must be 0..{codebook_size - 1} or {CONTINUE} before a site's length "
            f"and {PAD} after it"
        )
