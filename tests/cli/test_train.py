import yaml

from loopyvq.config import parse_config
from loopyvq.training import TokenizerTrainingConfig


def test_train_shows_its_config_and_takes_options(run, workspace):
    code, out, _ = run(
        "train", "tokenizer", workspace / "tiny.yaml", "--show-config", "--precision", "32-true",
        "--tokenizer.quantizer.max_depth", 3,
    )  # fmt: skip
    assert code == 0
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


def test_train_vqgan_runs_and_resumes(run, workspace, tmp_path):
    words = ["train", "vqgan", workspace / "tiny.yaml", "--data", workspace / "photos", "--quiet"]
    words += ["--adversarial.start_step", "2", "--discriminator.base_channels", "4"]
    assert run(*words, "--discriminator.layers", 2, "--out", tmp_path / "run")[0] == 0
    code, out, _ = run("train", "vqgan", "--resume", tmp_path / "run", "--quiet")
    assert code == 0
    assert "best model" in out
