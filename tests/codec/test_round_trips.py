"""A thousand files of random shapes, thresholds, modes and options, each read by other processes.

Every reader has another number of threads, and must find the same latents and arrays bit by bit.
"""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from loopyvq.checkpoint import save_tokenizer
from loopyvq.codec import Codec, codebook_of, compress_array, decompress_array, save_tables
from loopyvq.coding import MODES
from tests.codec.conftest import make_image

NUM_IMAGES, NUM_ARRAYS = 800, 200
READER = """
import hashlib, sys
from pathlib import Path
import torch
torch.set_num_threads(int(sys.argv[2]))
from loopyvq.codec import Codec, decompress_array
folder = Path(sys.argv[1])
codec = Codec.load(folder / "model.safetensors")
for path in sorted(folder.glob("*.lvq")):
    data = path.read_bytes()
    if path.stem.startswith("image"):
        codec.decompress(data)
        read = codec.decode_sites(data).z_q
    else:
        read = decompress_array(data)
    print(path.stem, hashlib.sha256(read.tobytes()).hexdigest())
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_thousand_files_come_back_in_other_processes(tokenizer, tables, tmp_path):
    save_tokenizer(tmp_path / "model.safetensors", tokenizer)
    save_tables(tmp_path / "model.safetensors", tables)
    codec, generator = Codec(tokenizer, tables), np.random.default_rng(0)
    wanted = {}
    for index in range(NUM_IMAGES):
        name, data = f"image{index:04}", write_image(codec, generator)
        wanted[name] = codec.decode_sites(data).z_q
        (tmp_path / f"{name}.lvq").write_bytes(data)
    for index in range(NUM_ARRAYS):
        name, data = f"array{index:04}", write_array(generator)
        wanted[name] = decompress_array(data)
        (tmp_path / f"{name}.lvq").write_bytes(data)
    expected = {name: hashlib.sha256(read.tobytes()).hexdigest() for name, read in wanted.items()}
    for threads in ("1", "2"):
        words = [sys.executable, "-c", READER, str(tmp_path), threads]
        lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        assert dict(line.split() for line in lines.splitlines()) == expected


def write_image(codec: Codec, generator: np.random.Generator) -> bytes:
    """Write an image with options by chance, and check its promise."""
    height, width = (int(side) for side in generator.integers(1, 70, 2))
    image = make_image(height, width, int(generator.choice([1, 3])), int(generator.integers(99)))
    threshold = float(np.exp(generator.uniform(np.log(0.003), np.log(3))))
    stop = str(generator.choice(["threshold", "rate_distortion"]))
    options = {"stop": stop, "bound": bool(generator.integers(2))}
    mode = str(generator.choice(list(MODES)))
    data = codec.compress(image, threshold, mode=mode, **options)
    found = codec.verify(data, image)
    assert found.bound is None or found.worst <= found.bound
    assert not options["bound"] or found.bound == found.threshold <= threshold
    return data


def write_array(generator: np.random.Generator) -> bytes:
    """Write an array with options by chance, and check its promise."""
    count, width = int(generator.integers(0, 200)), int(generator.integers(1, 20))
    scales = np.exp(generator.normal(0, 2, (count, 1)))
    vectors = (generator.normal(size=(count, width)) * scales).astype(np.float32)
    max_error = float(np.exp(generator.uniform(-6, 2)))
    mode = str(generator.choice([mode for mode in MODES if mode != "static"]))
    book = codebook_of(generator.normal(size=(int(generator.integers(1, 30)), width)))
    data = compress_array(vectors, max_error, codebook=book, mode=mode)
    errors = np.linalg.norm(decompress_array(data).astype(float) - vectors, axis=1)
    assert errors.max(initial=0) <= max_error
    return data
