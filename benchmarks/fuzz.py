"""Coverage-guided fuzzing of everything that reads strangers' bytes.

    pip install atheris
    python benchmarks/fuzz.py -max_total_time=600 -rss_limit_mb=1024 -timeout=10

Starts from the golden files. Besides raw bytes it tries chunks of any content with check sums
mended, so that damage gets past them. Stops at any exception but `BitstreamError`, at more than
1 GiB of memory, and at an input that takes longer than 10 seconds.
"""

import contextlib
import random
import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

with atheris.instrument_imports(include=["loopyvq.coding", "loopyvq.codec", "loopyvq.spelling"]):
    from loopyvq.codec import Codec, ReadingLimits, VectorCodebook, decompress_array
    from loopyvq.coding import (
        TOKEN_MODES,
        Chunk,
        decode_tokens,
        read_container,
        write_container,
    )
    from loopyvq.coding.container import CHUNK_KINDS
    from loopyvq.coding.header import TARGETS, Header
    from loopyvq.coding.modes import MODES
    from loopyvq.errors import BitstreamError

GOLDEN = ROOT / "tests" / "golden"
LIMITS = ReadingLimits(max_pixels=1 << 16, max_tokens=1 << 14)
CODEC = Codec.load(GOLDEN / "images" / "model.safetensors", limits=LIMITS)
FILES = [path.read_bytes() for path in sorted(GOLDEN.rglob("*.lvq"))]
KINDS, MODE_NAMES, TARGET_NAMES = sorted(CHUNK_KINDS), sorted(MODES), ["", *sorted(TARGETS)]


def read_file(data: bytes) -> None:
    """Read bytes as a file of whatever kind it says."""
    if read_container(data).header.channels:
        CODEC.decompress(data)
    else:
        decompress_array(data, limits=LIMITS)


def read_raw(provider: atheris.FuzzedDataProvider) -> None:
    read_file(provider.ConsumeBytes(1 << 12))


def read_mended(provider: atheris.FuzzedDataProvider) -> None:
    """Exchange fields and chunks of a golden file, with right check sums."""
    header, chunks = read_container(FILES[provider.ConsumeIntInRange(0, len(FILES) - 1)])
    if provider.ConsumeBool():
        header = any_header(header, provider)
    for _ in range(provider.ConsumeIntInRange(1, 3)):
        index = provider.ConsumeIntInRange(0, len(chunks))
        kind = KINDS[provider.ConsumeIntInRange(0, len(KINDS) - 1)]
        if index < len(chunks) and provider.ConsumeBool():
            kind = chunks[index].kind
        chunks[index : index + 1] = [Chunk(kind, provider.ConsumeBytes(200))]
    read_file(write_container(header, chunks))


def any_header(header: Header, provider: atheris.FuzzedDataProvider) -> Header:
    changes = {
        "mode": MODE_NAMES[provider.ConsumeIntInRange(0, len(MODE_NAMES) - 1)],
        "height": provider.ConsumeIntInRange(0, 300),
        "width": provider.ConsumeIntInRange(0, 300),
        "channels": provider.ConsumeIntInRange(0, 4),
        "max_depth": provider.ConsumeIntInRange(0, 300),
        "threshold": abs(provider.ConsumeRegularFloat()) % 1e30,
        "target": TARGET_NAMES[provider.ConsumeIntInRange(0, len(TARGET_NAMES) - 1)],
    }
    chosen = provider.ConsumeIntInRange(0, (1 << len(changes)) - 1)
    kept = {name: value for bit, (name, value) in enumerate(changes.items()) if chosen >> bit & 1}
    return header._replace(**kept)


def read_array_by_reference(provider: atheris.FuzzedDataProvider) -> None:
    import numpy as np

    book = VectorCodebook(np.ones((4, 3), np.float32), np.ones(3, np.float32), 1.0)
    count = provider.ConsumeIntInRange(0, 40)
    header = Header("adaptive", book.identity[:12], count, 3, 0, 3, 0.1, 0)
    chunks = [Chunk("tokens", provider.ConsumeBytes(40)) for _ in range(3)]
    chunks.append(Chunk("escape", provider.ConsumeBytes(300)))
    decompress_array(write_container(header, chunks), book, limits=LIMITS)


def read_tokens(provider: atheris.FuzzedDataProvider) -> None:
    """Read pieces of any bytes in any mode, with and without tables."""
    modes = TOKEN_MODES
    mode = modes[provider.ConsumeIntInRange(0, len(modes) - 1)]
    tables = CODEC.tables if mode == "static" or provider.ConsumeBool() else None
    sites = (provider.ConsumeIntInRange(0, 12), provider.ConsumeIntInRange(0, 12))
    pieces = [provider.ConsumeBytes(60) for _ in range(provider.ConsumeIntInRange(0, 4))]
    tokens = decode_tokens(pieces, sites, 3, 12, mode, tables)
    assert tokens.codes.shape == (*sites, 3)  # noqa: S101
    assert tokens.codes.max(initial=-1) < 12  # noqa: S101


READERS = (read_raw, read_mended, read_mended, read_array_by_reference, read_tokens)


def test_one_input(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    with contextlib.suppress(BitstreamError):
        READERS[provider.ConsumeIntInRange(0, len(READERS) - 1)](provider)


def main() -> None:
    with tempfile.TemporaryDirectory() as corpus:
        generator = random.Random(0)
        for index, data in enumerate(FILES):  # the reader is chosen by the last byte
            (Path(corpus) / f"raw{index}").write_bytes(data + b"\0")
            (Path(corpus) / f"any{index}").write_bytes(generator.randbytes(200))
        atheris.Setup([*sys.argv, corpus], test_one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
