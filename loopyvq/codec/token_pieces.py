"""Tokens of one image or array to the payloads of a file's ``tokens`` chunks, in any mode."""

from collections.abc import Sequence

import torch

from loopyvq.coding import (
    MODES,
    TOKEN_MODES,
    Tables,
    decode_tokens,
    encode_tokens,
    pack_symbols,
    unpack_symbols,
)
from loopyvq.coding.bits import bits_per_symbol
from loopyvq.errors import BitstreamError, ConfigError
from loopyvq.spelling import spell, unspell, vocabulary_size
from loopyvq.tokens import Tokens

__all__ = ["check_mode", "payloads_of", "tokens_of"]


def check_mode(mode: str, tables: Tables | None) -> None:
    """Check that tokens can be coded in a mode.

    Args:
        mode: one of `loopyvq.coding.MODES`.
        tables: those of the model, if it has any.

    Raises:
        ConfigError: there is no such mode, or it needs tables.
    """
    if mode not in MODES:
        raise ConfigError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    if mode == "static" and tables is None:
        raise ConfigError("mode 'static' needs a model with tables: make them with loopyvq tables")


def payloads_of(
    tokens: Tokens, codebook_size: int, mode: str, tables: Tables | None = None
) -> list[bytes]:
    """Write tokens.

    Args:
        tokens: sites of shape ``h w`` or ``n``.
        codebook_size: number of codes.
        mode: one of `loopyvq.coding.MODES`.
        tables: for ``static``, ``adaptive`` and ``context``.

    Returns:
        One payload per turn, in modes of `TOKEN_MODES` of which a prefix decodes; one for a
        spelling.
    """
    codes, lengths = tokens.codes.cpu(), tokens.lengths.cpu()
    if mode in TOKEN_MODES:
        return encode_tokens(codes.numpy(), lengths.numpy(), codebook_size, mode, tables)
    symbols = spell(Tokens(codes, lengths), mode, codebook_size).numpy()
    return [pack_symbols(symbols, vocabulary_size(mode, codebook_size, tokens.max_depth))]


def tokens_of(
    payloads: Sequence[bytes],
    sites: tuple[int, ...],
    max_depth: int,
    codebook_size: int,
    mode: str,
    tables: Tables | None = None,
) -> Tokens:
    """Read tokens that `payloads_of` wrote.

    Args:
        payloads: all, or the first of them.
        sites: ``(h, w)`` or ``(n,)``.
        max_depth: largest length of a site.
        codebook_size: number of codes.
        mode: the writer's.
        tables: the writer's.

    Returns:
        The tokens, as far as the payloads go.

    Raises:
        BitstreamError: no writer makes such payloads.
    """
    if mode in TOKEN_MODES:
        arrays = decode_tokens(payloads, sites, max_depth, codebook_size, mode, tables)
        return Tokens(torch.from_numpy(arrays.codes), torch.from_numpy(arrays.lengths))
    if not payloads:
        empty = torch.full((*sites, max_depth), -1)
        return Tokens(empty, torch.zeros(sites, dtype=torch.int64))
    if len(payloads) > 1:
        raise BitstreamError(f"mode {mode} has one chunk of tokens, the file has {len(payloads)}")
    return _read_spelling(payloads[0], sites, max_depth, codebook_size, mode)


def _read_spelling(
    payload: bytes, sites: tuple[int, ...], max_depth: int, codebook_size: int, mode: str
) -> Tokens:
    """Try the numbers of symbols that fill so many bytes, the largest first."""
    alphabet = vocabulary_size(mode, codebook_size, max_depth)
    width = bits_per_symbol(alphabet)
    most = 8 * len(payload) // width
    least = max(0, 8 * (len(payload) - 1) // width + 1) if payload else 0
    for count in range(most, least - 1, -1):
        try:
            symbols = torch.from_numpy(unpack_symbols(payload, count, alphabet))
            tokens = unspell(symbols, mode, codebook_size, sites, max_depth)
            if payloads_of(tokens, codebook_size, mode) == [payload]:
                return tokens
        except (ValueError, BitstreamError):
            continue
    raise BitstreamError(f"the tokens are no {mode} sequence of {sites} sites")
