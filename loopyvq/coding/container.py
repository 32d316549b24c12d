"""A file: a header, then chunks that are checked one by one, so that a prefix can be used.

    header | kind length payload crc | kind length payload crc | ...

A chunk's CRC-32 covers every byte of the file up to the end of its payload, so that chunks can
neither be exchanged nor moved between files.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

from loopyvq.coding.header import Header, read_header, write_header
from loopyvq.coding.reader import EndOfDataError, Reader, varint
from loopyvq.errors import BitstreamError

__all__ = ["CHUNK_KINDS", "Chunk", "Container", "read_container", "write_container"]

CHUNK_KINDS = {"tokens": 0, "escape": 1, "codebook": 2, "coarse": 3}
_KIND_NAMES = {number: name for name, number in CHUNK_KINDS.items()}


class Chunk(NamedTuple):
    """A part of a file.

    Attributes:
        kind: one of `CHUNK_KINDS`.
        payload: its bytes.
    """

    kind: str
    payload: bytes


class Container(NamedTuple):
    """What a file holds.

    Attributes:
        header: its fields; ``num_chunks`` as announced.
        chunks: those that are there.
    """

    header: Header
    chunks: list[Chunk]


def write_container(header: Header, chunks: Sequence[Chunk]) -> bytes:
    """Write a file.

    Args:
        header: the fields; ``num_chunks`` is counted here, whatever it says.
        chunks: in the order in which they will be needed.

    Returns:
        The bytes.

    Raises:
        ValueError: a field is out of range or a kind unknown.

    Example:
        >>> header = Header("context", "0123456789ab", 512, 768, 3, 8, 0.25, 0)
        >>> data = write_container(header, [Chunk("tokens", b"abc")])
        >>> len(data), read_container(data).chunks
        (33, [Chunk(kind='tokens', payload=b'abc')])
    """
    written = write_header(header._replace(num_chunks=len(chunks)))
    parts, check = [written], crc32(written)
    for kind, payload in chunks:
        if kind not in CHUNK_KINDS:
            raise ValueError(f"kind must be one of {', '.join(CHUNK_KINDS)}, got {kind!r}")
        chunk = varint(CHUNK_KINDS[kind]) + varint(len(payload)) + payload
        check = crc32(chunk, check)
        written = chunk + struct.pack("<I", check)
        check = crc32(written[len(chunk) :], check)
        parts.append(written)
    return b"".join(parts)


def read_container(data: bytes, partial: bool = False) -> Container:
    """Read a file.

    Args:
        data: the bytes.
        partial: whether to take what is there of a file that was cut off; if not, that is an error.

    Returns:
        The header and all chunks, or the complete ones at the front.

    Raises:
        BitstreamError: the bytes are damaged, cut off, or followed by others.
    """
    reader = Reader(data)
    header = read_header(reader)
    check = crc32(reader.since(0))
    chunks: list[Chunk] = []
    try:
        while len(chunks) < header.num_chunks:
            chunk, check = _read_chunk(reader, check)
            chunks.append(chunk)
    except EndOfDataError:
        if not partial:
            raise
        return Container(header, chunks)
    reader.finish()
    return Container(header, chunks)


def _read_chunk(reader: Reader, check: int) -> tuple[Chunk, int]:
    """Read one chunk and continue the check sum over it."""
    start = reader.position
    kind, length = reader.varint(), reader.varint()
    payload = reader.take(length)
    check = crc32(reader.since(start), check)
    stored = reader.take(4)
    if struct.unpack("<I", stored)[0] != check:
        raise BitstreamError("a chunk is damaged: its check sum differs")
    if kind not in _KIND_NAMES:
        raise BitstreamError(f"unknown kind of chunk {kind}")
    return Chunk(_KIND_NAMES[kind], payload), crc32(stored, check)
