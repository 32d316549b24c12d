"""Files that announce more than they hold must not cost memory or time."""

import subprocess
import sys
from itertools import product

import numpy as np
import pytest

from loopyvq.checkpoint import save_tokenizer
from loopyvq.codec import Codec, compress_array
from loopyvq.coding import Chunk, Header, read_container, write_container
from loopyvq.coding.header import MODEL_DIGITS
from tests.codec.conftest import make_image

LARGE = (1, 1 << 16, (1 << 32) - 1)
GROWTH_MIB = 1024


def hostile(header: Header, chunks: list[Chunk]) -> list[bytes]:
    """Announce images, arrays, lengths and chunks of all sizes."""
    cases = []
    for height, width, depth in product(LARGE, LARGE, (header.max_depth, 255, LARGE[-1])):
        sizes = {"height": height, "width": width, "max_depth": depth}
        for mode in ("padded", "flat", "adaptive", "context"):
            cases.append(write_container(header._replace(mode=mode, **sizes), chunks))
    varint = b"\xff\xff\xff\xff\x0f"
    whole = write_container(header, chunks)
    start = len(write_container(header, []))
    cases += [whole[:start] + kind + varint + whole[start:] for kind in (b"\0", b"\1", b"\2")]
    for kind in ("tokens", "escape", "codebook"):
        content = (b"\x01\x04" + 4 * varint, varint * 3, b"\x10" + varint * 3, b"\x10\x05" + varint)
        cases += [write_container(header, [Chunk(kind, some), *chunks]) for some in content]
        cases += [write_container(header, [*chunks[:-1], Chunk(kind, some)]) for some in content]
    return cases


@pytest.fixture(scope="module")
def cases(tokenizer):
    image = read_container(Codec(tokenizer).compress(make_image(40, 41), 0.1))
    vectors = np.random.default_rng(0).normal(size=(50, 3))
    array = read_container(compress_array(vectors, 0.1))
    assert array.header.model == "0" * MODEL_DIGITS
    return hostile(*image), hostile(*array)


def test_they_are_refused_within_a_gibibyte(tokenizer, cases, tmp_path):
    images, arrays = cases
    save_tokenizer(tmp_path / "model.safetensors", tokenizer)
    for index, data in enumerate([*images, *arrays]):
        kind = "image" if index < len(images) else "array"
        (tmp_path / f"{index:04}.{kind}").write_bytes(data)
    script = f"""
import resource
from pathlib import Path
from loopyvq.codec import Codec, decompress_array
from loopyvq.errors import BitstreamError
codec = Codec.load({str(tmp_path / "model.safetensors")!r})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sorted(Path({str(tmp_path)!r}).glob("*.*")):
    if path.suffix in (".image", ".array"):
        read = codec.decompress if path.suffix == ".image" else decompress_array
        try:
            read(path.read_bytes())
        except BitstreamError:
            pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=240)
    assert int(done.stdout) < GROWTH_MIB
