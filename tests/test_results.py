import subprocess
import sys
from pathlib import Path

import pytest

from loopyvq.checkpoint import save_tokenizer
from loopyvq.codec import save_tables
from loopyvq.data import to_pil
from tests.codec.conftest import make_image, make_tables, make_tokenizer

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "run.py"


@pytest.mark.slow
def test_the_page_of_results_holds_every_part_and_goes_on_where_it_was(tmp_path):
    (tmp_path / "test").mkdir()
    for number in range(2):
        to_pil(make_image(96, 112, seed=number)).save(tmp_path / "test" / f"{number}.png")
    tokenizer = make_tokenizer()
    save_tokenizer(tmp_path / "tiny.safetensors", tokenizer)
    save_tables(tmp_path / "tiny.safetensors", make_tables(tokenizer))
    command = [sys.executable, RESULTS, "--test", tmp_path / "test", "--points", "3"]
    command += ["--model", tmp_path / "tiny.safetensors", "--rounds", "1", "--speed-images", "1"]
    command += ["--against", f"fixed={tmp_path / 'tiny.safetensors'}", "--tunes", "balanced"]
    command += ["--threads", "1", "--out", tmp_path / "out", "--docs", tmp_path / "docs"]
    run = subprocess.run(command, check=True, timeout=280, capture_output=True, text=True)
    assert run.stdout.count("2 of 2 images to measure") == 3
    page = (tmp_path / "docs" / "results.md").read_text()
    assert "$" not in page
    assert str(tmp_path) not in page
    priced = ("fixed, priced codes", "fixed, priced codes --tune ms_ssim")
    for system in ("jpeg", "webp", "avif", "jpeg2000", *priced):
        tables = 3 if system == "jpeg2000" else 4  # the setting of which is a rate
        assert page.count(f"| {system} |") == tables
    factor = tokenizer.config.downsampling
    sites = 2 * 6 * (96 // factor) * (112 // factor)  # of two images at six thresholds
    assert f"In all: {sites:,} of {sites:,} sites within, in 12 files." in page
    for picture in ("results_test.png", "results_gallery.webp"):
        assert f"(images/{picture})" in page
        assert 1000 < (tmp_path / "docs" / "images" / picture).stat().st_size < 400_000
    again = subprocess.run(command, check=True, timeout=280, capture_output=True, text=True)
    assert again.stdout.count("0 of 2 images to measure") == 3
