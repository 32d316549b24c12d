"""Every row of docs/bad_input.md: what kind of bad input gets which line."""

import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from loopyvq.checkpoint import save_tokenizer
from loopyvq.cli.main import main
from loopyvq.config import parse_config
from loopyvq.data import to_pil
from loopyvq.models import Tokenizer, TokenizerConfig
from tests.training.conftest import TINY

PAGE = Path(__file__).resolve().parents[2] / "docs" / "bad_input.md"


def rows() -> list[tuple[str, str, str]]:
    """Read the table: situation, command, message."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]
    return [(row[0], row[1].strip("`"), row[2].strip("`")) for row in cells]


@pytest.fixture(scope="module")
def bad(workspace, prior, tmp_path_factory) -> Path:
    """A folder with everything that is bad."""
    folder: Path = tmp_path_factory.mktemp("bad")
    for name in ("run", "photos", "prior"):
        (folder / name).symlink_to(workspace / name)
    (folder / "tiny.yaml").write_bytes((workspace / "tiny.yaml").read_bytes())
    (folder / "empty").mkdir()
    (folder / "drawn").mkdir()
    (folder / "drawn" / "00001.png").touch()
    (folder / "notes.txt").write_text("no-such.png\n")
    (folder / "nothing.txt").write_text("\n")
    (folder / "fake.png").write_text("this is no image")
    (folder / "thing.xyz").write_text("?")
    (folder / "damaged.zip").write_bytes(b"PK\x03\x04 and then nothing")
    with zipfile.ZipFile(folder / "noimages.zip", "w") as archive:
        archive.writestr("readme.md", "words")
    with zipfile.ZipFile(folder / "pairs.zip", "w") as archive:
        archive.write(workspace / "photos" / "0.png", "images/0.png")
    (folder / "colours.txt").write_text("0 0 0\n255 255 256\n")
    (folder / "bad.yaml").write_text("run: [1\n")
    (folder / "list.yaml").write_text("- 1\n")
    (folder / "unknown.yaml").write_text("run:\n  stepps: 3\n")
    (folder / "fake.lvq").write_text("this is no file of ours")
    (folder / "fake.npy").write_text("this is no array")
    np.save(folder / "v.npy", np.random.default_rng(0).normal(size=(9, 2)))
    np.save(folder / "whole.npy", np.ones((3, 2), np.int64))
    to_pil(torch.zeros(3, 4, 4, dtype=torch.uint8)).save(folder / "one.png")
    bad_models(folder, workspace)
    bad_checkpoints(folder)
    return folder


def bad_models(folder: Path, workspace: Path) -> None:
    """A half model, another one, and what was written with a good one and damaged."""
    model = (workspace / "run" / "best.safetensors").read_bytes()
    (folder / "converted").mkdir()
    (folder / "converted" / "model.safetensors").write_bytes(model)
    (folder / "half.safetensors").write_bytes(model[: len(model) // 2])
    torch.manual_seed(9)
    tiny: TokenizerConfig = parse_config(TokenizerConfig, TINY["tokenizer"])
    save_tokenizer(folder / "other.safetensors", Tokenizer(tiny))
    photo, out = str(folder / "photos" / "0.png"), ["--out", str(folder)]
    assert main(["encode", str(folder / "run"), photo, *out]) == 0
    tokens = (folder / "0.png.tokens").read_bytes()
    (folder / "half.tokens").write_bytes(tokens[: len(tokens) // 2])
    words = ["compress", photo, "--model", str(folder / "run"), *out, "--threshold", "0.2"]
    assert main(words) == 0
    data = (folder / "0.png.lvq").read_bytes()
    (folder / "half.lvq").write_bytes(data[: len(data) // 2])
    (folder / "hurt.lvq").write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])


@pytest.fixture
def there(bad, tmp_path, monkeypatch):
    """Stand in a copy of it."""
    shutil.copytree(bad, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bad_checkpoints(folder: Path) -> None:
    """Checkpoints of taming that are no good, with a config that is."""
    sizes = {"z_channels": 8, "resolution": 16, "in_channels": 3, "out_ch": 3, "ch": 32}
    sizes |= {"ch_mult": [1, 1], "num_res_blocks": 1, "attn_resolutions": []}
    params = {"embed_dim": 8, "n_embed": 16, "ddconfig": sizes}
    model = {"model": {"target": "taming.models.vqgan.VQModel", "params": params}}
    (folder / "vqgan.yaml").write_text(json.dumps(model))  # JSON is YAML
    torch.save({"state_dict": {"quant_conv.bias": torch.zeros(9)}}, folder / "few.ckpt")
    blob = (folder / "few.ckpt").read_bytes()
    (folder / "half.ckpt").write_bytes(blob[: len(blob) // 2])
    with zipfile.ZipFile(folder / "evil.ckpt", "w") as archive:
        archive.writestr("evil/data.pkl", b"cposix\nsystem\n(S'touch hacked'\ntR.")


@pytest.mark.parametrize(("situation", "command", "message"), rows(), ids=lambda text: text[:40])
def test_each_row_of_the_page(there, run, situation, command, message):
    assert command.startswith("loopyvq ")
    code, out, err = run(*command.split()[1:])
    assert code == 2, (out, err)
    lines = [line for line in err.splitlines() if not line.startswith("skipped: ")]
    assert len(lines) == 1, err
    pattern = re.escape(message).replace(re.escape("..."), ".*")
    assert re.fullmatch(rf"loopyvq( \w+)?: error: {pattern}", lines[0]), lines[0]


def test_the_page_has_its_rows():
    assert len(rows()) >= 25
