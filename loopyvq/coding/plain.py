"""Tokens without a model: every code in the same number of bits, for comparison."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Integer

from loopyvq.coding.bits import pack_symbols, packed_size, unpack_symbols
from loopyvq.coding.turns import CONTINUE, PAD, CodedTokens
from loopyvq.errors import BitstreamError

__all__ = ["decode_packed", "decode_padded", "encode_packed", "encode_padded"]


def encode_padded(
    codes: Integer[np.ndarray, "h w l"], lengths: Integer[np.ndarray, "h w"], codebook_size: int
) -> list[bytes]:
    """Write every turn of every site, dummies and padding included.

    Args:
        codes: of valid tokens.
        lengths: of valid tokens.
        codebook_size: number of codes.

    Returns:
        A piece for each of the ``l`` turns.
    """
    del lengths
    symbols = np.where(codes < 0, codes + codebook_size + 2, codes)
    return [
        pack_symbols(symbols[..., turn].reshape(-1), codebook_size + 2)
        for turn in range(codes.shape[-1])
    ]


def decode_padded(
    pieces: Sequence[bytes], shape: tuple[int, int], max_depth: int, codebook_size: int
) -> CodedTokens:
    """Read what `encode_padded` wrote.

    Args:
        pieces: all, or the first of them.
        shape: rows and columns of sites.
        max_depth: largest length of a site.
        codebook_size: number of codes.

    Returns:
        The tokens, as far as the pieces go.

    Raises:
        BitstreamError: there are no such tokens.
    """
    codes = np.full((*shape, max_depth), PAD, np.int64)
    for turn, piece in enumerate(_at_most(pieces, max_depth)):
        symbols = unpack_symbols(piece, shape[0] * shape[1], codebook_size + 2)
        symbols = np.where(symbols < codebook_size, symbols, symbols - codebook_size - 2)
        codes[..., turn] = symbols.reshape(shape)
    padding = codes == PAD
    lengths = (~padding).sum(axis=-1)
    if not np.array_equal(padding, np.arange(max_depth) >= lengths[..., None]):
        raise BitstreamError("a site has tokens after its padding")
    return CodedTokens(codes, lengths.astype(np.int64))


def encode_packed(
    codes: Integer[np.ndarray, "h w l"], lengths: Integer[np.ndarray, "h w"], codebook_size: int
) -> list[bytes]:
    """Write all lengths with the first turn, then of each turn what is there.

    Args:
        codes: of valid tokens.
        lengths: of valid tokens.
        codebook_size: number of codes.

    Returns:
        As many pieces as the longest site has tokens.
    """
    pieces = []
    for turn in range(int(lengths.max(initial=0))):
        symbols = codes[lengths > turn, turn]
        symbols = np.where(symbols == CONTINUE, codebook_size, symbols)
        pieces.append(pack_symbols(symbols, codebook_size + 1))
    if pieces:
        pieces[0] = pack_symbols(lengths.reshape(-1), codes.shape[-1] + 1) + pieces[0]
    return pieces


def decode_packed(
    pieces: Sequence[bytes], shape: tuple[int, int], max_depth: int, codebook_size: int
) -> CodedTokens:
    """Read what `encode_packed` wrote.

    Args:
        pieces: all, or the first of them.
        shape: rows and columns of sites.
        max_depth: largest length of a site.
        codebook_size: number of codes.

    Returns:
        The tokens, as far as the pieces go.

    Raises:
        BitstreamError: there are no such tokens.
    """
    codes = np.full((*shape, max_depth), PAD, np.int64)
    all_lengths = np.zeros(shape, np.int64)
    for turn, piece in enumerate(_at_most(pieces, max_depth)):
        rest = piece
        if turn == 0:
            size = packed_size(all_lengths.size, max_depth + 1)
            lengths = unpack_symbols(piece[:size], all_lengths.size, max_depth + 1)
            all_lengths, rest = lengths.reshape(shape), piece[size:]
        active = all_lengths > turn
        symbols = unpack_symbols(rest, int(active.sum()), codebook_size + 1)
        codes[active, turn] = np.where(symbols == codebook_size, CONTINUE, symbols)
    if len(pieces) > all_lengths.max(initial=0):
        raise BitstreamError("there are more pieces than turns")
    return CodedTokens(codes, np.minimum(all_lengths, len(pieces)))


def _at_most(pieces: Sequence[bytes], max_depth: int) -> Sequence[bytes]:
    if len(pieces) > max_depth:
        raise BitstreamError(f"{len(pieces)} pieces do not fit sites of up to {max_depth} tokens")
    return pieces
