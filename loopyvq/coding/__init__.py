"""Integers to bytes and back: packed, with static tables, adaptive, or in context.

    codes, lengths --encode_tokens--> one piece per turn --write_container--> bytes

Knows no torch and no float arithmetic that could differ between machines.
"""

from loopyvq.coding.bits import pack_symbols, unpack_symbols
from loopyvq.coding.container import Chunk, Container, read_container, write_container
from loopyvq.coding.fit import fit_tables
from loopyvq.coding.floats import decode_floats, encode_floats
from loopyvq.coding.header import Header
from loopyvq.coding.integers import decode_integers, encode_integers
from loopyvq.coding.modes import MODES, TOKEN_MODES, decode_tokens, encode_tokens, ideal_bits
from loopyvq.coding.tables import Tables
from loopyvq.coding.turns import CodedTokens

__all__ = [
    "MODES",
    "TOKEN_MODES",
    "Chunk",
    "CodedTokens",
    "Container",
    "Header",
    "Tables",
    "decode_floats",
    "decode_integers",
    "decode_tokens",
    "encode_floats",
    "encode_integers",
    "encode_tokens",
    "fit_tables",
    "ideal_bits",
    "pack_symbols",
    "read_container",
    "unpack_symbols",
    "write_container",
]
