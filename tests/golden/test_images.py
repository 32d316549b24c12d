"""Files that old versions wrote decode for ever, to the same tokens and latents, bit by bit."""

from pathlib import Path

import numpy as np
import pytest

from loopyvq.codec import Codec, VectorCodebook, decompress_array
from loopyvq.coding import MODES, read_container
from loopyvq.errors import BitstreamError
from tests.codec.conftest import mutations

FOLDER = Path(__file__).parent
FILES = sorted((FOLDER / "images").glob("*.lvq"))


@pytest.fixture(scope="module")
def codec():
    return Codec.load(FOLDER / "images" / "model.safetensors")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_images_decode_as_ever(codec, path):
    expected = np.load(path.with_suffix(".npz"))
    data = path.read_bytes()
    sites = codec.decode_sites(data)
    assert np.array_equal(sites.tokens.codes.numpy(), expected["codes"])
    assert np.array_equal(sites.tokens.lengths.numpy(), expected["lengths"])
    assert sites.z_q.tobytes() == expected["z_q"].tobytes()
    if "pixels" not in expected:
        return
    # Networks compute in floats, which another machine may round otherwise.
    pixels = codec.decompress(data).numpy().astype(int)
    assert np.abs(pixels - expected["pixels"]).max() <= 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_mutations_are_bitstream_errors_or_other_images(codec, path):
    for data in mutations(path.read_bytes(), 20):
        try:
            sites = codec.decode_sites(data)
        except BitstreamError:
            continue
        assert np.isfinite(sites.z_q).all()


def test_every_mode_and_every_field_is_there():
    headers = [read_container(path.read_bytes()).header for path in FILES]
    assert {header.mode for header in headers} == set(MODES)
    assert {header.target for header in headers} >= {"", "quality", "num_bytes"}
    assert {header.channels for header in headers} == {1, 3}
    assert any(header.bound_steps is not None for header in headers)
    assert len({header.model for header in headers}) == 2
    chunks = {chunk.kind for path in FILES for chunk in read_container(path.read_bytes()).chunks}
    assert chunks == {"tokens", "escape", "coarse"}


def test_a_file_by_reference_decodes_as_ever():
    folder = FOLDER / "arrays" / "by_reference"
    stored = np.load(folder / "codebook.npz")
    book = VectorCodebook(stored["codes"], stored["gains"], float(stored["sigma"]))
    decoded = decompress_array((folder / "v1.lvq").read_bytes(), book)
    assert np.array_equal(decoded, np.load(folder / "v1.npy"))


def test_golden_files_are_small():
    files = [path for path in FOLDER.rglob("*.*") if "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files) < 130_000
