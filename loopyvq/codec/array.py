"""Arrays of vectors to the bytes of a file and back: every vector within a bound of itself.

    vectors --fit--> codebook --loop--> tokens, escape --> bytes --> tokens, escape --> vectors

A reader only adds, multiplies and rounds single 32-bit floats in a fixed order, so that all
machines decode the same numbers.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Shaped

from loopyvq.codec.bound import round_down
from loopyvq.codec.escape import apply_escape, distances, escape
from loopyvq.codec.limits import ReadingLimits
from loopyvq.codec.token_pieces import check_mode, payloads_of, tokens_of
from loopyvq.codec.vector_codebook import (
    VectorCodebook,
    fit_codebook,
    read_codebook,
    write_codebook,
)
from loopyvq.coding import TOKEN_MODES, Chunk, Header, read_container, write_container
from loopyvq.coding.header import MODEL_DIGITS
from loopyvq.errors import BitstreamError, ConfigError, DataError
from loopyvq.tokens import LARGEST_DEPTH

__all__ = ["compress_array", "decompress_array"]

# Kept below the bound, so that a user who measures in float32 finds it kept as well.
_MARGIN_SHARE = 1e-6
_SIZES = (16, 64, 256)
_TRIAL_VECTORS = 8192


def compress_array(
    vectors: Shaped[np.ndarray, "..."],
    max_error: float,
    *,
    codebook: VectorCodebook | None = None,
    store_codebook: bool = True,
    mode: str = "adaptive",
    seed: int = 0,
) -> bytes:
    """Write an array as a file.

    Args:
        vectors: ``n d`` finite floats of any precision; a reader gets 32-bit floats.
        max_error: largest Euclidean error of a vector, 0 or more.
        codebook: that of many files; by default one is learned from the vectors, of the size that
            makes the file smallest.
        store_codebook: whether the file brings the codebook along; if not, its reader needs it.
        mode: how tokens are coded, one of `loopyvq.coding.MODES`.
        seed: of the learning.

    Returns:
        The bytes.

    Raises:
        DataError: the vectors are not finite floats of shape ``n d``, or beyond 32-bit floats.
        ConfigError: an option is out of range, the codebook fits no file, or 32-bit floats are not
            within ``max_error``.

    Example:
        >>> vectors = np.random.default_rng(0).normal(size=(500, 4))
        >>> data = compress_array(vectors, max_error=0.1)
        >>> error = np.linalg.norm(decompress_array(data) - vectors, axis=1)
        >>> bool(error.max() <= 0.1), len(data) < vectors.nbytes / 6
        (True, True)
    """
    _check_vectors(vectors)
    check_mode(mode, None)
    if seed < 0:
        raise ConfigError(f"seed must be 0 or more, got {seed}")
    if not store_codebook and codebook is None:
        raise ConfigError("a file can only refer to a codebook that is given")
    bound = round_down(max_error)
    if codebook is not None:
        if codebook.codes.shape[1] != vectors.shape[1]:
            raise ConfigError(
                f"the codebook has codes of width {codebook.codes.shape[1]}, "
                f"the vectors have {vectors.shape[1]} numbers"
            )
        chosen = _as_written(codebook)
    else:
        chosen = _best_codebook(vectors, bound, mode, seed)
    chunks = _chunks(vectors, bound, chosen, mode)
    if store_codebook:
        chunks.insert(0, Chunk("codebook", write_codebook(chosen)))
    model = "0" * MODEL_DIGITS if store_codebook else chosen.identity
    sizes = (len(vectors), vectors.shape[1], 0, len(chosen.gains))
    return write_container(Header(mode, model, *sizes, bound, len(chunks)), chunks)


def decompress_array(
    data: bytes,
    codebook: VectorCodebook | None = None,
    turns: int | None = None,
    partial: bool = False,
    limits: ReadingLimits | None = None,
) -> Float32[np.ndarray, "n d"]:
    """Read an array.

    Args:
        data: the bytes of a file.
        codebook: the one that the file refers to, if it does.
        turns: use only the first tokens of every vector; the bound does not hold then.
        partial: whether to take what is there of a file that was cut off.
        limits: what the file may announce.

    Returns:
        The vectors.

    Raises:
        BitstreamError: the bytes are damaged, cut off, refer to another codebook, or are beyond
            the limits.
        ConfigError: ``turns`` is negative.
    """
    if turns is not None and turns < 0:
        raise ConfigError(f"turns must be 0 or more, got {turns}")
    container = read_container(data, partial)
    header, chunks = container.header, list(container.chunks)
    wrong = header.channels or header.bound_steps is not None or not header.width
    if wrong or header.max_depth > LARGEST_DEPTH:
        raise BitstreamError("the file holds no array")
    (limits or ReadingLimits()).check(header, header.height)
    book = _codebook_for(header, chunks, codebook)
    escaped = None
    if chunks and chunks[-1].kind == "escape" and len(container.chunks) == header.num_chunks:
        escaped = chunks.pop().payload
    if any(chunk.kind != "tokens" for chunk in chunks) or header.mode == "static":
        raise BitstreamError("the file has chunks or a mode that an array does not have")
    payloads = [chunk.payload for chunk in chunks]
    used = payloads[:turns] if header.mode in TOKEN_MODES else payloads
    sizes = ((header.height,), header.max_depth, len(book.codes))
    tokens = tokens_of(used, *sizes, header.mode)
    if turns is not None:
        tokens = tokens.prefix(turns)
    decoded = book.decode(tokens.codes.numpy())
    if not np.isfinite(decoded).all():
        raise BitstreamError("the tokens lead to numbers that are not finite")
    if escaped is None or turns is not None:
        return decoded
    return apply_escape(escaped, decoded, header.threshold)[0]


def _as_written(codebook: VectorCodebook) -> VectorCodebook:
    """Give a codebook as a reader will have it: rounded to what a file holds."""
    if not 1 <= len(codebook.gains) <= LARGEST_DEPTH:
        raise ConfigError(
            f"a file holds codebooks of 1 to {LARGEST_DEPTH} turns, got {len(codebook.gains)}"
        )
    try:
        return read_codebook(write_codebook(codebook))
    except (ValueError, BitstreamError) as error:
        raise ConfigError(f"the codebook fits no file: {error}") from error


def _check_vectors(vectors: Shaped[np.ndarray, "..."]) -> None:
    if vectors.ndim != 2 or vectors.dtype.kind != "f" or not vectors.shape[1]:
        raise DataError(
            f"an array must hold floats of shape (n, d), d at least 1, got {vectors.dtype} of "
            f"{vectors.shape}"
        )
    if not (np.abs(vectors) <= np.finfo(np.float32).max / 16).all():
        raise DataError("an array must hold finite numbers of less than 2e37")


class _Trial(NamedTuple):
    num_bytes: float
    codebook: VectorCodebook


def _best_codebook(
    vectors: Float[np.ndarray, "n d"], bound: float, mode: str, seed: int
) -> VectorCodebook:
    """Learn codebooks of some sizes and take the one that makes the file smallest."""
    if not len(vectors):
        return fit_codebook(np.zeros((1, vectors.shape[1])), 1, 1)
    chosen = np.random.default_rng(seed).permutation(len(vectors))[:_TRIAL_VECTORS]
    sample = vectors[np.sort(chosen)]
    trials = []
    for size in _SIZES:
        if size > max(len(vectors), _SIZES[0]):
            break
        book = fit_codebook(vectors, size, seed=seed)
        spent = sum(len(chunk.payload) for chunk in _chunks(sample, bound, book, mode))
        scale = len(vectors) / len(sample)
        trials.append(_Trial(spent * scale + len(write_codebook(book)), book))
    return min(trials, key=lambda trial: trial.num_bytes).codebook


def _chunks(
    vectors: Float[np.ndarray, "n d"], bound: float, book: VectorCodebook, mode: str
) -> list[Chunk]:
    """Write tokens and remainders, and check that they are within the bound."""
    limit = bound * (1 - _MARGIN_SHARE)
    unit = torch.from_numpy((vectors.astype(np.float64) / book.sigma).astype(np.float32))
    tokens = book.quantizer().encode(unit, limit / book.sigma)
    done = escape(vectors, book.decode(tokens.codes.numpy()), bound, limit)
    worst = float(distances(vectors, done.vectors).max(initial=0.0))
    if worst > bound:
        raise ConfigError(
            f"an error of {bound:.4g} cannot be reached with 32-bit floats, whose rounding alone "
            f"makes {worst:.4g} of these numbers: allow at least that"
        )
    payloads = payloads_of(tokens, len(book.codes), mode)
    return [*(Chunk("tokens", payload) for payload in payloads), Chunk("escape", done.payload)]


def _codebook_for(
    header: Header, chunks: list[Chunk], given: VectorCodebook | None
) -> VectorCodebook:
    """Take the codebook from the file's first chunk, or the one it refers to."""
    if chunks and chunks[0].kind == "codebook":
        book = read_codebook(chunks.pop(0).payload)
    elif header.model == "0" * MODEL_DIGITS:
        raise BitstreamError("the file has no codebook")
    elif given is None or given.identity[:MODEL_DIGITS] != header.model:
        raise BitstreamError(f"the file refers to the codebook {header.model}: give that one")
    else:
        book = read_codebook(write_codebook(given))
    if (book.codes.shape[1], len(book.gains)) != (header.width, header.max_depth):
        raise BitstreamError("the codebook does not fit the vectors of the file")
    return book
