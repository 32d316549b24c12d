import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loopyvq.codec.token_pieces import payloads_of
from loopyvq.data import to_float
from loopyvq.evaluation.rd_points import RdPoint
from tests.codec.conftest import make_image, make_tables, make_tokenizer

RACE = Path(__file__).parents[1] / "benchmarks" / "race" / "run.py"
LOOP = """
tokenizer:
  channels: [8, 16]
  encoder_blocks: 1
  decoder_blocks: 1
  quantizer: {codebook_size: 16, codebook_dim: 4, max_depth: 3, start_iterations: 2}
crop: {size: 64}
run: {batch_size: 4, tensorboard: false}
num_validation: 0
"""


def curve(system, share_of_bytes):
    """Four settings of three images of unlike sizes; quality is the same whatever the bytes."""
    return [
        RdPoint(system, str(step), name, int(pixels * rate / 8), rate, psnr, 0, 0)
        for step, rate in enumerate(share_of_bytes * np.array([0.05, 0.15, 0.45, 1.35]))
        for name, pixels, psnr in (
            ("a", 1e6, 25 + 2 * step),
            ("b", 3e6, 30 + 2 * step),
            ("c", 2e6, 20 + 2 * step),
        )
    ]


def module_of(name):
    spec = importlib.util.spec_from_file_location(f"race_{name}", RACE.with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_whole_sets_are_averaged_over_seeds():
    report = module_of("report")
    runs = [
        report.Run(seed, curve("fixed", 1.0) + curve("loop", share))
        for seed, share in enumerate((0.8, 0.9))
    ]
    head, _, fixed, loop = report.sets_table(runs, "fixed").splitlines()
    assert head.count("|") == fixed.count("|") == loop.count("|")
    assert fixed.count("reference") == 3
    means = [float(cell.split(" % ")[0]) for cell in loop.split(" | ")[1:3]]
    assert means == pytest.approx([-15, -15], abs=0.2)


def test_free_stops_cut_where_error_and_bits_are_least():
    errors = np.array([[9.0, 5.0, 4.5, 4.4], [9.0, 8.0, 3.0, 1.0], [1.0, 0.9, 0.8, 0.7]])
    bits = np.array([[1.0, 1.0, 2.0], [2.0, 2.0, 1.0], [1.0, 1.0, 1.0]])
    saved, length = module_of("free_stops").saved_by_stops(errors, bits, price=1.0)
    assert length == pytest.approx((1 + 3 + 0) / 3)
    assert saved * bits.sum() == pytest.approx((8.4 - 6) + 0 + (3.7 - 1))


def test_bits_of_tokens_add_up_to_those_of_the_coder():
    tokenizer = make_tokenizer()
    tables, latents = make_tables(tokenizer), tokenizer.latents(to_float(make_image(64, 48)[None]))
    tokens = tokenizer.quantizer.encode(latents[0], 0.0, 3)
    found = module_of("free_stops").bits_of(tokens, tokenizer.quantizer.codebook_size, tables)
    whole = sum(map(len, payloads_of(tokens, 16, "context", tables)))
    assert found.shape == (*tokens.lengths.shape, 3)
    assert 8 * whole - 8 * 3 * 4 < found.sum() < 8 * whole


@pytest.mark.slow
def test_race_of_two_entries_ends_in_a_table(tmp_path):
    generator = np.random.default_rng(0)
    for folder in ("train", "test"):
        (tmp_path / folder).mkdir()
        for number in range(2):
            coarse = generator.integers(0, 256, (10, 12, 3), dtype=np.uint8)
            image = Image.fromarray(coarse).resize((96, 80), Image.Resampling.BICUBIC)
            image.save(tmp_path / folder / f"{number}.png")
    loop, depth = tmp_path / "loop.yaml", tmp_path / "depth.yaml"
    loop.write_text(LOOP)
    depth.write_text(
        LOOP.replace("max_depth: 3", "max_depth: 3, threshold: 0.0, dummies: false")
        + "budget: {kind: depth, low: 1, high: 3}\n"
    )
    command = [sys.executable, RACE, "--data", tmp_path / "train", "--test", tmp_path / "test"]
    command += ["--entry", f"loop={loop}", "--entry", f"depth={depth}", "--run.steps", "6"]
    command += ["--out", tmp_path / "out"]
    subprocess.run(command, check=True, timeout=280, capture_output=True)
    lines = (tmp_path / "out" / "test.md").read_text().splitlines()
    systems = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")]
    rules = [f"loop, {rule} stop" for rule in ("threshold", "rate_distortion", "in_context")]
    rules += ["loop, in_context stop, balanced", "loop, in_context stop, ms_ssim"]
    priced = [
        "depth, priced codes",
        "depth, priced codes, balanced",
        "depth, priced codes, ms_ssim",
    ]
    curves = [*rules, "loop, uniform tail drop", "depth", *priced]
    assert systems == ["PSNR dB", *curves, "all images at one setting, bytes at equal", *curves]
    assert sum("reference" in line for line in lines) == 2
    assert (tmp_path / "out" / "test.png").stat().st_size > 1000
    again = subprocess.run(command, check=True, timeout=120, capture_output=True, text=True)
    assert "\n".join(lines) in again.stdout
