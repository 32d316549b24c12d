"""The last word of a bound: what the codes left of some sites, as whole numbers.

A site that the tokens leave outside of its bound is told in steps of a lattice. Half a step of the
fine lattice along every axis stays within the bound; the coarse one has larger steps, which nearly
always do, as rounding errors along many axes are seldom all large. Where neither does, the site is
stored as 32-bit floats. What is written is what was tried: both directions share `_move`.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int, Shaped

from loopyvq.coding import decode_floats, decode_integers, encode_floats, encode_integers
from loopyvq.coding.reader import Reader, varint
from loopyvq.errors import BitstreamError

__all__ = ["Escaped", "apply_escape", "distances", "escape"]

# Half a step is this much less than the bound allows, to leave room for the rounding of float32.
_ROOM = 1 - 2.0**-8
# Above this a lattice costs about as much as the floats themselves.
_MOST_STEPS = 1 << 26
# Steps of the coarse lattice, in sixteenths of the fine one's; 27 / 16 is near the root of three,
# where the typical error is as large as the bound.
_FINE, _COARSEST = 16, 28


class Escaped(NamedTuple):
    """Sites after their last word.

    Attributes:
        payload: of the ``escape`` chunk; applied to the same sites it gives ``vectors``.
        vectors: of all sites, as a reader gets them.
        num_escaped: sites that have a remainder.
        num_exact: sites of those that are stored as floats.
    """

    payload: bytes
    vectors: Float32[np.ndarray, "n d"]
    num_escaped: int
    num_exact: int


def distances(
    vectors: Shaped[np.ndarray, "n d"], decoded: Float32[np.ndarray, "n d"]
) -> Float64[np.ndarray, " n"]:
    """Measure Euclidean errors in float64.

    Args:
        vectors: what was meant.
        decoded: what a reader gets.

    Returns:
        One error per vector.
    """
    difference = vectors.astype(np.float64) - decoded.astype(np.float64)
    return np.sqrt(np.square(difference).sum(axis=1))


def escape(
    vectors: Shaped[np.ndarray, "n d"],
    decoded: Float32[np.ndarray, "n d"],
    bound: float,
    limit: float | None = None,
) -> Escaped:
    """Bring every vector within a bound of itself.

    Args:
        vectors: what was meant, finite floats.
        decoded: what the tokens alone give.
        bound: largest Euclidean error, 0 or more, as the reader knows it.
        limit: a smaller error to keep to, for a margin; by default the bound.

    Returns:
        The payload and the vectors that come of it; those that even float32 cannot hold within the
        limit are as near as it can.
    """
    limit = bound if limit is None else limit
    moved = decoded.copy()
    outside = ~(distances(vectors, moved) <= limit)
    num_escaped = int(outside.sum())
    step = _step(bound, decoded.shape[1])
    rest = vectors[outside].astype(np.float64) - decoded[outside].astype(np.float64)
    factor = _best_factor(rest, step, limit)
    parts = [bytes([factor])]
    for sixteenths in (factor, _FINE):
        chosen, steps = _round(vectors, decoded, outside, step * sixteenths / _FINE, limit)
        moved[chosen] = _move(decoded[chosen], steps, step * sixteenths / _FINE)
        outside = outside & ~chosen
        # Axis by axis: those alike in spread together.
        coded = encode_integers(steps.T.reshape(-1)) if steps.size else b""
        parts += [_write_places(chosen), varint(len(coded)), coded]
    floats = vectors[outside].astype(np.float32)
    moved[outside] = floats
    parts += [_write_places(outside), encode_floats([floats]) if len(floats) else b""]
    return Escaped(b"".join(parts), moved, num_escaped, len(floats))


def apply_escape(
    payload: bytes, decoded: Float32[np.ndarray, "n d"], bound: float
) -> tuple[Float32[np.ndarray, "n d"], int]:
    """Add the remainders of a file.

    Args:
        payload: of the ``escape`` chunk.
        decoded: what the tokens alone give.
        bound: the file's.

    Returns:
        The vectors, and how many sites had a remainder.

    Raises:
        BitstreamError: the payload does not belong to so many sites.
    """
    (count, width), reader = decoded.shape, Reader(payload)
    factor, step = reader.take(1)[0], _step(bound, decoded.shape[1])
    if not _FINE <= factor <= _COARSEST:
        raise BitstreamError(f"the escape chunk has a lattice of {factor} sixteenths")
    moved, seen = decoded.copy(), np.zeros(count, np.bool_)
    for sixteenths in (factor, _FINE):
        chosen, number = _read_places(reader, seen)
        steps = _read_steps(reader, number, width)
        moved[chosen] = _move(decoded[chosen], steps, step * sixteenths / _FINE)
    chosen, number = _read_places(reader, seen)
    arrays = decode_floats(reader.take(reader.remaining))
    if [array.shape for array in arrays] != ([(number, width)] if number else []):
        raise BitstreamError("the escape chunk holds other floats than it announces")
    if arrays:
        moved[chosen] = arrays[0]
    if not np.isfinite(moved).all():
        raise BitstreamError("the escape chunk leads to numbers that are not finite")
    return moved, int(seen.sum())


def _step(bound: float, width: int) -> float:
    """Choose the fine lattice: half a step along each of ``width`` axes is just within."""
    return 2.0 * _ROOM * bound / math.sqrt(max(width, 1))


def _move(
    decoded: Float32[np.ndarray, "m d"], steps: Int[np.ndarray, "m d"], step: float
) -> Float32[np.ndarray, "m d"]:
    with np.errstate(over="ignore"):
        return (decoded.astype(np.float64) + steps.astype(np.float64) * step).astype(np.float32)


def _best_factor(rest: Float64[np.ndarray, "m d"], step: float, limit: float) -> int:
    """Weigh larger steps against the sites that they leave outside and that are told twice."""
    if not rest.size or not step > 0:
        return _FINE

    def bits_per_site(sixteenths: int) -> float:
        size = step * sixteenths / _FINE
        error = rest - np.rint(rest / size) * size
        failing = float((np.square(error).sum(axis=1) > limit**2).mean())
        saved = int(rest.shape[1]) * math.log2(sixteenths / _FINE)
        doubt = sum(-p * math.log2(p) for p in (failing, 1 - failing) if p > 0)
        return float(failing * saved - saved + doubt)

    return min(range(_FINE, _COARSEST + 1), key=bits_per_site)


def _round(
    vectors: Shaped[np.ndarray, "n d"],
    decoded: Float32[np.ndarray, "n d"],
    outside: Bool[np.ndarray, " n"],
    step: float,
    limit: float,
) -> tuple[Bool[np.ndarray, " n"], Int[np.ndarray, "m d"]]:
    """Find the sites that a lattice brings within the limit, and their steps."""
    chosen = np.zeros(len(decoded), np.bool_)
    if not step > 0 or not outside.any():
        return chosen, np.zeros((0, decoded.shape[1]), np.int64)
    meant, start = vectors[outside], decoded[outside]
    wanted = np.rint((meant.astype(np.float64) - start.astype(np.float64)) / step)
    possible = (np.abs(wanted) <= _MOST_STEPS).all(axis=1)
    steps = np.where(possible[:, None], wanted, 0).astype(np.int64)
    possible &= distances(meant, _move(start, steps, step)) <= limit
    chosen[np.flatnonzero(outside)[possible]] = True
    return chosen, steps[possible]


def _read_steps(reader: Reader, number: int, width: int) -> Int[np.ndarray, "m d"]:
    coded = reader.take(reader.varint())
    if bool(coded) != bool(number * width):
        raise BitstreamError("the escape chunk has sites without numbers, or numbers without sites")
    steps = decode_integers(coded, number * width) if coded else np.zeros(0, np.int64)
    if np.abs(steps).max(initial=0) > _MOST_STEPS:
        raise BitstreamError(f"the escape chunk has more than {_MOST_STEPS} steps")
    return steps.reshape(width, number).T


def _write_places(chosen: Bool[np.ndarray, " n"]) -> bytes:
    """Write which sites are meant, as the gaps between them."""
    places = np.flatnonzero(chosen)
    if not len(places):
        return varint(0)
    gaps = encode_integers(np.diff(places, prepend=-1) - 1)
    return varint(len(places)) + varint(len(gaps)) + gaps


def _read_places(
    reader: Reader, seen: Bool[np.ndarray, " n"]
) -> tuple[Bool[np.ndarray, " n"], int]:
    """Read which sites are meant, none of which were before, and add them to ``seen``."""
    chosen, number = np.zeros(len(seen), np.bool_), reader.varint()
    if number > len(seen):
        raise BitstreamError(f"the escape chunk names {number} of {len(seen)} sites")
    if number:
        gaps = decode_integers(reader.take(reader.varint()), number)
        places = np.cumsum(gaps + 1) - 1
        if gaps.min() < 0 or places[-1] >= len(seen):
            raise BitstreamError("the escape chunk names sites that are not there")
        chosen[places] = True
    if (chosen & seen).any():
        raise BitstreamError("the escape chunk names a site twice")
    seen |= chosen
    return chosen, number
