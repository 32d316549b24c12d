import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_every_vector_is_within_the_bound():
    command = [sys.executable, EXAMPLES / "bounded_vectors.py", "samples", "--bound", "0.2"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
    assert "100000 vectors of width 16" in run.stdout
    assert "within 0.2: 100.000%" in run.stdout


@pytest.mark.slow
def test_a_photograph_beside_a_jpeg_of_as_many_bytes(tmp_path):
    picture = tmp_path / "pair.png"
    command = [sys.executable, EXAMPLES / "beside_jpeg.py", "--out", picture]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    ours, jpeg = (line.split() for line in run.stdout.splitlines()[:2])
    assert ours[0] == "loopyvq:"
    assert jpeg[0] == "JPEG:"
    assert int(jpeg[1]) <= int(ours[1])
    assert float(jpeg[3]) < float(ours[3])
    assert picture.stat().st_size > 0


def test_label_maps_of_facades(tmp_path):
    command = [sys.executable, EXAMPLES / "facade_maps.py", "--out", tmp_path]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "4 maps" in run.stdout
    for name, side in (("small/3.png", 256), ("large/0.png", 512)):
        with Image.open(tmp_path / name) as image:
            assert (image.mode, image.size) == ("L", (side, side))
            assert image.getextrema() == (0 if side == 512 else 1, 11 if side == 512 else 10)
    with Image.open(tmp_path / "shown.png") as shown:
        assert shown.width > 4 * 128
