import json

import pytest
import torch

from loopyvq.checkpoint import save_tokenizer
from loopyvq.models import Tokenizer, TokenizerConfig
from loopyvq.quantize import LoopConfig


@pytest.fixture
def plain(tmp_path):
    """A model of one code per site."""
    torch.manual_seed(0)
    loop = LoopConfig(codebook_size=16, codebook_dim=4, max_depth=1, threshold=0.0, dummies=False)
    tokenizer = Tokenizer(TokenizerConfig(channels=(8, 16), encoder_blocks=1, decoder_blocks=1,
                                          quantizer=loop))  # fmt: skip
    tokenizer(torch.rand(4, 3, 32, 32))
    save_tokenizer(tmp_path / "plain.safetensors", tokenizer)
    return tmp_path / "plain.safetensors"


def test_the_table_and_a_model_that_every_command_takes(run, workspace, plain, tmp_path):
    photos, out = workspace / "photos", tmp_path / "loopy"
    words = ["--data", photos, "--test", photos, "--max-depth", 4, "--test-images", 2]
    code, text, _ = run("loopify", plain, *words, "--out", out)
    assert code == 0
    lines = text.splitlines()
    assert lines[0].startswith("| model | threshold | tokens/site |")
    assert [line.split(" | ")[0] for line in lines[2:8]] == ["| before", *["| loopified"] * 5]
    assert "sites begin with the old code" in text
    assert lines[-1] == str(out / "model.safetensors")
    assert len(json.loads((out / "loopify.json").read_text())["gains"]) == 4
    image = photos / "0.png"
    for words in (
        ["info", out],
        ["encode", out, image, "--threshold", "0.3", "--out", tmp_path],
        ["decode", out, tmp_path / "0.png.tokens", "--out", tmp_path / "images"],
        ["evaluate", out, "--data", photos, "--limit", "1"],
        ["compress", image, "--model", out, "--threshold", "0.3", "--out", tmp_path],
        ["decompress", tmp_path / "0.png.lvq", "--model", out, "--out", tmp_path / "images"],
    ):
        assert run(*words)[0] == 0, words


def test_a_model_with_turns_is_refused_in_one_line(run, workspace, tmp_path):
    words = ["--data", workspace / "photos", "--out", tmp_path / "out"]
    code, _, error = run("loopify", workspace / "run", *words)
    assert code == 2
    assert "has up to 4 tokens per site already" in error
    assert not (tmp_path / "out").exists()
