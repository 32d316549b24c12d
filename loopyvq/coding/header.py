"""What a file says about itself before its chunks; `docs/bitstream.md` has every byte."""

import math
import struct
from typing import NamedTuple
from zlib import crc32

from loopyvq.coding.modes import MODES
from loopyvq.coding.reader import Reader, varint
from loopyvq.errors import BitstreamError

__all__ = [
    "BOUND_STEPS_PER_OCTAVE",
    "MODEL_DIGITS",
    "TARGETS",
    "Header",
    "read_header",
    "write_header",
]

_MAGIC = b"LVQ"
_VERSION = 1
# Six bytes of the model's hash.
MODEL_DIGITS = 12
_LARGEST_CHANNELS = 15
_LARGEST_BYTE = 255
_HAS_TARGET = 16
_STATES_BOUND = 32
TARGETS = {"quality": 1, "psnr_db": 2, "ssim": 3, "rate_bpp": 4, "num_bytes": 5, "pixel_error": 6}
# A stated bound is at most 2.2 % larger than what it is about.
BOUND_STEPS_PER_OCTAVE = 32
_MODE_NAMES = {number: name for name, number in MODES.items()}
_TARGET_NAMES = {number: name for name, number in TARGETS.items()}


class Header(NamedTuple):
    """The fields of a header.

    Attributes:
        mode: how the tokens are coded, one of `MODES`.
        model: the first `MODEL_DIGITS` hexadecimal digits of the model's identity; zeros if none.
        height: of the image in pixels; of an array, the number of vectors.
        width: of the image in pixels; of an array, the number of coordinates.
        channels: of the image; 0 for an array.
        max_depth: largest length of a site.
        threshold: the stop distance in units of the latents' scale, 0 or more, as float32.
        num_chunks: chunks that follow.
        target: what was asked for and reached, one of `TARGETS`; empty if nothing is said.
        target_value: of the target, as float32.
        bound_steps: 0 to 255 if the file says how far outside of its threshold sites may be: at
            most ``threshold * 2 ** (bound_steps / 32)``; None if it does not.
    """

    mode: str
    model: str
    height: int
    width: int
    channels: int
    max_depth: int
    threshold: float
    num_chunks: int
    target: str = ""
    target_value: float = 0.0
    bound_steps: int | None = None

    @property
    def stated_bound(self) -> float | None:
        """What the header says of the worst site, in units of the latents' scale."""
        if self.bound_steps is None:
            return None
        return float(self.threshold * 2.0 ** (self.bound_steps / BOUND_STEPS_PER_OCTAVE))


def write_header(header: Header) -> bytes:
    """Write a header.

    Args:
        header: the fields.

    Returns:
        The bytes, 24 for an image of 128 to 16383 pixels a side without a target.

    Raises:
        ValueError: a field is out of range.
    """
    if header.mode not in MODES or (header.target and header.target not in TARGETS):
        raise ValueError(f"unknown mode {header.mode!r} or target {header.target!r}")
    if not 0 <= header.channels <= _LARGEST_CHANNELS:
        raise ValueError(f"channels must be 0..{_LARGEST_CHANNELS}, got {header.channels}")
    if not (0 <= header.threshold < math.inf and math.isfinite(header.target_value)):
        raise ValueError("threshold must be finite and 0 or more, and the target finite")
    model = bytes.fromhex(header.model[:MODEL_DIGITS])
    if 2 * len(model) != MODEL_DIGITS:
        raise ValueError(f"model must have {MODEL_DIGITS} hexadecimal digits, got {header.model!r}")
    steps = header.bound_steps
    if steps is not None and not 0 <= steps <= _LARGEST_BYTE:
        raise ValueError(f"bound_steps must be 0..{_LARGEST_BYTE}, got {steps}")
    flags = header.channels | (_HAS_TARGET if header.target else 0)
    flags |= _STATES_BOUND if steps is not None else 0
    numbers = (header.height, header.width, header.max_depth, header.num_chunks)
    parts = [_MAGIC, bytes([_VERSION, MODES[header.mode], flags]), model, *map(varint, numbers)]
    try:
        parts.append(struct.pack("<f", header.threshold))
        if header.target:
            parts.append(struct.pack("<Bf", TARGETS[header.target], header.target_value))
    except OverflowError as error:
        raise ValueError("threshold and target must fit a 32-bit float") from error
    parts.append(b"" if steps is None else bytes([steps]))
    written = b"".join(parts)
    return written + _check_sum(written)


def read_header(reader: Reader) -> Header:
    """Read a header.

    Args:
        reader: at the front of a file; afterwards at its first chunk.

    Returns:
        The fields. Sizes are as the file claims: compare them with your limits first.

    Raises:
        BitstreamError: these bytes are no header, of another version, or damaged.
    """
    start = reader.position
    if reader.take(min(3, reader.remaining)) != _MAGIC:
        raise BitstreamError("this is no loopyvq file: it does not begin with LVQ")
    version, mode, flags = reader.take(3)
    if version != _VERSION:
        raise BitstreamError(f"version {version} of the format is unknown; this reads {_VERSION}")
    model = reader.take(MODEL_DIGITS // 2).hex()
    height, width, max_depth, num_chunks = (reader.varint() for _ in range(4))
    (threshold,) = struct.unpack("<f", reader.take(4))
    target, value = struct.unpack("<Bf", reader.take(5)) if flags & _HAS_TARGET else (0, 0.0)
    steps = reader.take(1)[0] if flags & _STATES_BOUND else None
    expected = _check_sum(reader.since(start))
    if reader.take(2) != expected:
        raise BitstreamError("the header is damaged: its check sum differs")
    if flags >= 2 * _STATES_BOUND or mode not in _MODE_NAMES:
        raise BitstreamError(f"unknown coding mode {mode} or flags {flags}")
    if flags & _HAS_TARGET and target not in _TARGET_NAMES:
        raise BitstreamError(f"unknown target {target}")
    if not (0 <= threshold < math.inf and math.isfinite(value)):
        raise BitstreamError(f"a threshold of {threshold} or target of {value} cannot be")
    channels, name = flags % _HAS_TARGET, _TARGET_NAMES.get(target, "")
    sizes = (height, width, channels, max_depth, threshold, num_chunks)
    return Header(_MODE_NAMES[mode], model, *sizes, name, value, steps)


def _check_sum(written: bytes) -> bytes:
    return struct.pack("<H", crc32(written) & 0xFFFF)
