import csv
import json

import torch
from PIL import Image

from loopyvq.checkpoint import load_tokenizer
from loopyvq.config import parse_config
from loopyvq.data import open_image_set, to_float, to_uint8
from loopyvq.training import TokenizerTrainingConfig


def test_train_shows_its_config_and_takes_options(run, workspace):
    code, out, _ = run(
        "train", "tokenizer", workspace / "tiny.yaml", "--show-config", "--precision", "32-true",
        "--tokenizer.quantizer.max_depth", 3,
    )  # fmt: skip
    assert code == 0
    import yaml

    config = parse_config(TokenizerTrainingConfig, yaml.safe_load(out))
    assert config.tokenizer.quantizer.max_depth == 3
    assert config.tokenizer.channels == (8, 16)
    assert config.run.precision == "32-true"


def test_train_resumes_from_the_folder_alone(run, workspace, tmp_path):
    words = ["train", "tokenizer", workspace / "tiny.yaml", "--data", workspace / "photos"]
    assert run(*words, "--out", tmp_path / "run", "--quiet")[0] == 0
    code, out, _ = run("train", "tokenizer", "--resume", tmp_path / "run", "--quiet")
    assert code == 0
    assert "best model" in out


def test_encode_and_decode_give_the_tokenizers_own_reconstruction(run, workspace, tmp_path):
    code, out, _ = run(
        "encode", workspace / "run", workspace / "photos", "--out", tmp_path / "t",
        "--threshold", 0.4,
    )  # fmt: skip
    assert code == 0
    assert len(out.splitlines()) == 6
    assert (tmp_path / "t" / "sub" / "1.png.tokens").is_file()
    code, out, _ = run("decode", workspace / "run", tmp_path / "t", "--out", tmp_path / "d")
    assert code == 0
    tokenizer = load_tokenizer(workspace / "run")
    for key, image in open_image_set(workspace / "photos").images():
        wanted = tokenizer.reconstruct(to_float(image).unsqueeze(0), 0.4)[0]
        with Image.open(tmp_path / "d" / key) as decoded:
            found = torch.frombuffer(bytearray(decoded.tobytes()), dtype=torch.uint8)
        assert torch.equal(found, to_uint8(wanted).permute(1, 2, 0).flatten()), key


def test_decode_takes_a_prefix_of_the_turns(run, workspace, tmp_path):
    image = workspace / "photos" / "0.png"
    run("encode", workspace / "run", image, "--out", tmp_path, "--threshold", 0)
    file = tmp_path / "0.png.tokens"
    pictures = []
    for turns in (0, 1, 4):
        words = ["decode", workspace / "run", file, "--out", tmp_path / str(turns)]
        assert run(*words, "--turns", turns)[0] == 0
        pictures.append((tmp_path / str(turns) / "0.png").read_bytes())
    assert len(set(pictures)) == 3


def test_evaluate_prints_and_writes_the_same_numbers(run, workspace, tmp_path):
    code, out, _ = run(
        "evaluate", workspace / "run", "--data", workspace / "photos", "--limit", 3,
        "--thresholds", 0.8, 0.3, "--json", tmp_path / "a.json", "--csv", tmp_path / "a.csv",
    )  # fmt: skip
    assert code == 0
    result = json.loads((tmp_path / "a.json").read_text())
    assert [point["threshold"] for point in result["points"]] == [0.8, 0.3]
    assert f"{result['points'][1]['psnr_db']:.2f}" in out
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert len(rows) == len(result["images"]) == 6


def test_evaluate_by_depth_by_length_and_by_default(run, workspace):
    words = ["evaluate", workspace / "run", "--data", workspace / "photos", "--limit", 2]
    assert "100" not in run(*words, "--depths", 1, 2)[1].splitlines()[2].split("|")[2]
    for more in (["--lengths", 1, 2.5], []):
        code, out, _ = run(*words, *more)
        assert code == 0
        assert "perplexity" in out


def test_info_describes_models_and_tokens(run, workspace, tmp_path):
    code, out, _ = run("info", workspace / "run")
    assert code == 0
    assert "16 codes of width 4, up to 4 turns" in out
    run("encode", workspace / "run", workspace / "photos" / "0.png", "--out", tmp_path)
    code, out, _ = run("info", tmp_path / "0.png.tokens")
    assert code == 0
    for text in ("40 x 33 pixels, 5 x 5 sites", "run_length", "depth_major"):
        assert text in out


def test_broken_images_are_named_skipped_and_counted(run, workspace, tmp_path):
    good = (workspace / "photos" / "0.png").read_bytes()
    (tmp_path / "good.png").write_bytes(good)
    (tmp_path / "bad.png").write_bytes(good[: len(good) // 2])
    words = ["evaluate", workspace / "run", "--data", tmp_path, "--lengths", 1]
    code, out, _ = run(*words)
    assert code == 0
    assert "1 broken images were skipped" in out
    code, _, err = run(*words, "--strict")
    assert code == 2
    assert "bad.png" in err


def test_token_files_never_leave_their_folder():
    from pathlib import Path

    from loopyvq.cli.encode import token_path

    out = Path("out")
    assert token_path(out, "../../a/b.png") == out / "a" / "b.png.tokens"
    assert token_path(out, "/etc/passwd") == out / "etc" / "passwd.tokens"
