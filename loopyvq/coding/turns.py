"""Tokens to one piece of bytes per turn, and back.

A piece says, for every site that is still going, its code of that turn, a dummy, or that it stops.
It begins with the share of sites that stop, as one byte. Pieces depend on those before them only,
so that the first ``n`` pieces decode to the first ``n`` tokens of every site.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int, Integer

from loopyvq.coding.ports import DecodingPort, EncodingPort, MeasuringPort, Port
from loopyvq.errors import BitstreamError

__all__ = [
    "CONTINUE",
    "PAD",
    "CodedTokens",
    "TurnModel",
    "decode_turns",
    "encode_turns",
    "measure_turns",
    "plane_of_turn",
    "share_at",
    "stop_share_of",
]

CONTINUE = -2
PAD = -1
_ALL = 255


class CodedTokens(NamedTuple):
    """Tokens as arrays.

    Attributes:
        codes: a code or `CONTINUE` before a site's length, `PAD` from there on.
        lengths: how many tokens each site has.
    """

    codes: Int[np.ndarray, "*n l"]
    lengths: Int[np.ndarray, "*n"]


@runtime_checkable
class TurnModel(Protocol):
    """Codes one turn after another; holds what it learned from the turns before."""

    def code_turn(
        self, port: Port, active: Bool[np.ndarray, "h w"], turn: int, stop_share: int
    ) -> None:
        """Code the symbols of a turn.

        Args:
            port: of the encoder or the decoder.
            active: sites that are still going.
            turn: 0 or more.
            stop_share: share of them that stop, ``0..254`` in units of 1/255.
        """


def encode_turns(
    codes: Integer[np.ndarray, "h w l"],
    lengths: Integer[np.ndarray, "h w"],
    codebook_size: int,
    model: TurnModel,
) -> list[bytes]:
    """Write tokens.

    Args:
        codes: of valid tokens.
        lengths: of valid tokens.
        codebook_size: number of codes.
        model: new.

    Returns:
        As many pieces as the longest site has tokens.
    """
    pieces = []
    for turn in range(int(lengths.max(initial=0))):
        plane, active = plane_of_turn(CodedTokens(codes, lengths), turn, codebook_size)
        port = EncodingPort(plane, codebook_size + 1)
        share = stop_share_of(plane, active, port.stop)
        model.code_turn(port, active, turn, share)
        pieces.append(bytes([share]) + port.coder.finish())
    return pieces


def measure_turns(
    codes: Integer[np.ndarray, "h w l"],
    lengths: Integer[np.ndarray, "h w"],
    codebook_size: int,
    model: TurnModel,
) -> float:
    """Add up what a model says that tokens cost, without coding them.

    Args:
        codes: of valid tokens.
        lengths: of valid tokens.
        codebook_size: number of codes.
        model: new.

    Returns:
        Bits; the shares of stops, one byte per turn, are not in it.
    """
    ideal_bits = 0.0
    for turn in range(int(lengths.max(initial=0))):
        plane, active = plane_of_turn(CodedTokens(codes, lengths), turn, codebook_size)
        port = MeasuringPort(plane, codebook_size + 1)
        model.code_turn(port, active, turn, stop_share_of(plane, active, port.stop))
        ideal_bits += port.ideal_bits
    return ideal_bits


def decode_turns(
    pieces: Sequence[bytes],
    shape: tuple[int, int],
    max_depth: int,
    codebook_size: int,
    model: TurnModel,
) -> CodedTokens:
    """Read tokens.

    Args:
        pieces: what `encode_turns` gave, or the first of it.
        shape: rows and columns of sites.
        max_depth: largest length of a site.
        codebook_size: number of codes.
        model: new, as the encoder's.

    Returns:
        The tokens, as far as the pieces go.

    Raises:
        BitstreamError: no encoder writes such pieces.
    """
    codes = np.full((*shape, max_depth), PAD, np.int64)
    lengths = np.zeros(shape, np.int64)
    if len(pieces) > max_depth:
        raise BitstreamError(f"{len(pieces)} pieces do not fit sites of up to {max_depth} tokens")
    active = np.ones(shape, np.bool_)
    for turn, piece in enumerate(pieces):
        if not piece or piece[0] == _ALL:
            raise BitstreamError("a piece of the tokens has no tokens")
        port = DecodingPort(piece[1:], shape, codebook_size + 1)
        model.code_turn(port, active, turn, piece[0])
        port.coder.finish()
        if stop_share_of(port.plane, active, port.stop) != piece[0]:
            raise BitstreamError("a piece of the tokens contradicts its own share of stops")
        active = active & (port.plane != port.stop)
        plane = np.where(port.plane == codebook_size, CONTINUE, port.plane)
        codes[..., turn] = np.where(active, plane, PAD)
        lengths[active] = turn + 1
    return CodedTokens(codes, lengths)


def plane_of_turn(
    tokens: CodedTokens, turn: int, codebook_size: int
) -> tuple[Int[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Give the symbols of a turn.

    Args:
        tokens: on a grid.
        turn: below the largest length.
        codebook_size: number of codes.

    Returns:
        At every site its code, ``codebook_size`` for a dummy or one more for a stop (-1 where it
        stopped before); and which sites were still going.
    """
    codes = tokens.codes[..., turn]
    plane = np.where(codes == CONTINUE, codebook_size, codes)
    plane = np.where(tokens.lengths == turn, codebook_size + 1, plane)
    return plane.astype(np.int64), tokens.lengths >= turn


def stop_share_of(plane: Int[np.ndarray, "h w"], active: Bool[np.ndarray, "h w"], stop: int) -> int:
    """Round the share of sites that stop to 255ths; only none is 0 and only all is 255.

    Args:
        plane: the symbol at every site.
        active: sites that are still going.
        stop: the symbol that ends a site.

    Returns:
        The share.
    """
    count, stops = int(active.sum()), int((plane[active] == stop).sum())
    if stops in (0, count):
        return 0 if stops < count else _ALL
    return min(max((2 * _ALL * stops + count) // (2 * count), 1), _ALL - 1)


def share_at(lengths: Int[np.ndarray, "h w"], turn: int) -> int:
    """Tell which share of the sites that are still going stops in a turn, below all of them.

    Args:
        lengths: of all sites.
        turn: 0 or more.

    Returns:
        The share, as of `stop_share_of`; 0 where no site goes on so long.
    """
    going = lengths >= turn
    stops = np.where(lengths == turn, 1, 0)
    return min(stop_share_of(stops, going, 1), _ALL - 1) if going.any() else 0
