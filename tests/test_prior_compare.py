import argparse
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "prior_compare" / "run.py"
TOKENIZER = """
tokenizer:
  image_channels: 1
  downsampling: 4
  patch_size: 4
  channels: [8]
  encoder_blocks: 1
  decoder_blocks: 1
  quantizer: {codebook_size: 16, codebook_dim: 4, max_depth: 3, start_iterations: 2}
crop: {size: 16, min_scale: 1.0}
run: {steps: 3, batch_size: 4, tensorboard: false, average_decay: 0}
num_validation: 0
"""
PRIOR = """
kind: site
site:
  transformer: {width: 16, layers: 1, heads: 2}
  depth: {width: 16, layers: 1, heads: 2}
run: {batch_size: 4}
validation_images: 4
"""


def part(name):
    """Load one file of the comparison, under a name that no other benchmark's file has."""
    name, file = f"prior_compare_{name}", SCRIPT.with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where its dataclass looks for itself
    spec.loader.exec_module(module)
    return module


entries, report = part("entries"), part("report")


def options(**told):
    usual = {"length": 4.0, "tune": "ms_ssim", "short": "loop_short", "in_context": True}
    return argparse.Namespace(**{**usual, "lengths": [1.1, 3.0], "effort": 0, "priced": 0, **told})


def result(name, seed, rate):
    return {
        "name": name, "seed": seed, "tokens_per_site": 2.0, "psnr_db": 30.0, "rate_bpp": rate,
        "stop_bpp": 0.01, "steps": 10 + seed,
    }  # fmt: skip


def test_lines_of_few_tokens_take_the_loop_that_was_asked_for():
    for short in ("loop", "loop_short"):
        lines = {entry.name: entry for entry in entries.entries(options(short=short))}
        for name in ("loop_1", "loop_mse_of_plain_vq", "loop_1.1_in_context_ms_ssim"):
            assert lines[name].tokenizer == short
        for name in ("loop_4", "loop_like_fixed_depth_4", "loop_3_in_context_ms_ssim"):
            assert lines[name].tokenizer == "loop"


def test_a_look_has_a_name_of_its_own_and_fixed_depths_have_none():
    lines = {entry.name: entry for entry in entries.entries(options(effort=2))}
    assert lines["loop_3_in_context_ms_ssim_effort_2"].effort == 2
    assert lines["fixed_depth_4_in_context"].effort == 0
    assert "loop_3_in_context_ms_ssim" not in lines


def test_lines_that_price_their_tokens_are_asked_for():
    assert not any(entry.priced for entry in entries.entries(options()))
    lines = {entry.name: entry for entry in entries.entries(options(effort=1, priced=2))}
    for name in ("loop_1.1_priced_effort_1", "plain_vq_priced", "fixed_depth_4_priced"):
        assert lines[name].priced == 2
    assert lines["loop_mse_of_plain_vq_priced_effort_1"].like == "plain_vq"
    assert lines["loop_1.1_priced_effort_1"].effort == 1
    assert lines["plain_vq_priced"].effort == 0


def test_seeds_become_means_and_ranges():
    rows = report.table(
        [result("loop", 0, 0.2), result("loop", 1, 0.3), result("plain", 0, 0.25)], []
    ).splitlines()
    assert "| 0.2500 (0.2000 to 0.3000) |" in rows[2]
    assert "(10 to 11)" in rows[2]
    assert "| 0.2500 |" in rows[3]
    assert entries.run_name(entries.Entry("loop", "loop"), 0) == "loop"
    assert entries.run_name(entries.Entry("loop", "loop"), 2) == "loop_seed_2"


def test_every_row_of_the_table_is_as_wide_as_its_head():
    judged = {**result("plain", 0, 0.25), "tokens_frechet": 2.0, "frechet": 3.0}
    for results, cells in (([result("loop", 0, 0.2)], 7), ([result("loop", 0, 0.2), judged], 9)):
        rows = report.table(results, [""]).splitlines()
        assert {row.count("|") - 1 for row in rows} == {cells}


def test_lines_come_as_they_are_asked_for_and_unknown_ones_are_refused():
    asked = ["plain_vq", "loop_1"]
    assert [entry.name for entry in entries.chosen(options(only=asked))] == asked
    assert entries.chosen(options(only=None)) == entries.entries(options())
    with pytest.raises(ValueError, match=r"no lines \['loop_7'\]; there are fixed_depth_4"):
        entries.chosen(options(only=["loop_7"]))


@pytest.mark.slow
def test_two_lines_and_two_seeds_end_in_one_table(tmp_path):
    generator = np.random.default_rng(0)
    for label in ("a", "b"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(20):
            coarse = Image.fromarray(generator.integers(0, 256, (4, 4), dtype=np.uint8))
            coarse.resize((16, 16)).save(tmp_path / "images" / label / f"{number}.png")
    (tmp_path / "tokenizer.yaml").write_text(TOKENIZER)
    (tmp_path / "prior.yaml").write_text(PRIOR)
    command = [sys.executable, SCRIPT, "--config", tmp_path / "tokenizer.yaml"]
    command += ["--prior", tmp_path / "prior.yaml", "--data", tmp_path / "images"]
    command += ["--out", tmp_path / "out", "--steps", "2", "--images", "8", "--count", "0"]
    command += ["--priced", "1", "--only", "loop_1_priced", "plain_vq", "--seeds", "0", "1"]
    run = subprocess.run(command, check=True, timeout=280, capture_output=True, text=True)
    last = run.stdout[run.stdout.rindex("| tokens |") :].splitlines()
    assert [line.split(" | ")[0] for line in last[2:4]] == ["| loop_1_priced", "| plain_vq"]
    assert all(" to " in line for line in last[2:4])
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [(item["name"], item["seed"]) for item in found] == [
        ("loop_1_priced", 0), ("loop_1_priced", 1), ("plain_vq", 0), ("plain_vq", 1),
    ]  # fmt: skip
    shards = {path.name for path in (tmp_path / "out" / "shards").iterdir()}
    assert {"plain_vq", "loop_1_priced_0", "loop_1_priced_1", "loop_1_priced_seed_1_1"} <= shards
    assert {path.name for path in (tmp_path / "out" / "tokenizers").iterdir()} == {
        "loop_short",
        "plain_vq",
    }
