import json
import shutil

import torch
import yaml

from loopyvq.checkpoint import load_tokenizer
from loopyvq.codec.tables import coding_identity, load_tables
from loopyvq.config import parse_config
from loopyvq.data import to_pil
from loopyvq.tensor_file import read_tensors
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


def test_the_config_may_stand_behind_options(run, workspace):
    config, steps = workspace / "tiny.yaml", ["--run.steps", 3]
    words = ["train", "tokenizer", "--show-config"]
    code, expected, _ = run(*words[:2], config, "--show-config", *steps)
    assert code == 0
    for more in ([config, *steps], [*steps, config], ["--quiet", "--run.steps=3", config]):
        code, out, err = run(*words, *more)
        assert code == 0, err
        assert out == expected
    code, _, err = run(*words, *steps, config, "another.yaml")
    assert code == 2
    assert "unrecognized arguments: another.yaml" in err


def test_train_resumes_from_the_folder_alone(run, workspace, tmp_path):
    words = ["train", "tokenizer", workspace / "tiny.yaml", "--data", workspace / "photos"]
    assert run(*words, "--out", tmp_path / "run", "--quiet")[0] == 0
    model = (tmp_path / "run" / "best.safetensors").read_bytes()
    resume = ["train", "tokenizer", "--resume", tmp_path / "run", "--quiet"]
    code, out, _ = run(*resume)
    assert code == 0
    assert "best model" in out
    # Nothing was left to train: with other tables, files made in between could not be read.
    assert (tmp_path / "run" / "best.safetensors").read_bytes() == model
    for words in (["--precision", "32-true"], ["--out", tmp_path / "other"]):
        assert "give no others" in run(*resume, *words)[2]
    assert "give no others but --run.steps" in run(*resume, "--optim.learning_rate", 1)[2]


def test_a_run_goes_on_with_other_hardware(run, workspace, tmp_path):
    words = ["train", "tokenizer", workspace / "tiny.yaml", "--data", workspace / "photos"]
    folder = tmp_path / "run"
    assert run(*words, "--out", folder, "--quiet", "--run.steps", 1, "--tables", 0)[0] == 0
    config = folder / "config.json"
    moved = json.loads(config.read_text())
    moved["config"]["run"]["accelerator"] = "cuda"
    config.write_text(json.dumps(moved))
    resume = ["train", "tokenizer", "--resume", folder, "--quiet", "--tables", 0]
    if not torch.cuda.is_available():
        assert "there is no CUDA device" in run(*resume, "--run.steps", 2)[2]
        assert json.loads(config.read_text()) == moved
    code, _, err = run(*resume, "--run.steps", 2, "--accelerator", "cpu")
    assert code == 0, err
    assert json.loads(config.read_text())["config"]["run"]["accelerator"] == "cpu"


def test_a_run_that_is_done_can_go_on_for_longer(run, workspace, tmp_path):
    words = ["train", "tokenizer", workspace / "tiny.yaml", "--data", workspace / "photos"]
    folder = tmp_path / "run"
    assert run(*words, "--out", folder, "--quiet", "--run.steps", 2, "--tables", 0)[0] == 0
    resume = ["train", "tokenizer", "--resume", folder, "--quiet", "--tables", 0]
    code, _, err = run(*resume, "--run.steps=4")
    assert code == 0, err
    assert json.loads((folder / "config.json").read_text())["config"]["run"]["steps"] == 4
    assert read_tensors(folder / "last.safetensors", "tokenizer").header["notes"]["step"] == 4
    assert "Got value: many" in run(*resume, "--run.steps", "many")[2]
    code, _, err = run(*resume, "--run.steps", 3)
    assert code == 2
    assert f"--run.steps 3 is less than the 4 steps that {folder} has done" in err
    assert run(*resume, "--run.steps", 3, "--run.time_limit_s", 60)[0] == 2
    assert json.loads((folder / "config.json").read_text())["config"]["run"]["steps"] == 4
    assert json.loads((folder / "config.json").read_text())["config"]["run"]["steps"] == 4


def test_a_run_whose_time_is_up_goes_on_with_more_time(run, workspace, tmp_path):
    folder = tmp_path / "run"
    words = ["train", "tokenizer", workspace / "tiny.yaml", "--data", workspace / "photos"]
    words += ["--run.steps", 1000, "--run.time_limit_s", 0.01]
    assert run(*words, "--out", folder, "--quiet", "--tables", 0)[0] == 0
    before = (folder / "config.json").read_bytes()
    resume = ["train", "tokenizer", "--resume", folder, "--quiet", "--tables", 0]
    for further in (["--run.steps", 2000], ["--run.time_limit_s", 0.02]):
        code, _, err = run(*resume, *further)
        assert code == 2
        assert "is up after 0 s: give a longer --run.time_limit_s, or 0 for none" in err
        assert (folder / "config.json").read_bytes() == before
    assert run(*resume, "--run.steps", 3, "--run.time_limit_s", 0)[0] == 0
    assert read_tensors(folder / "last.safetensors", "tokenizer").header["notes"]["step"] == 3


def test_a_resume_that_is_refused_leaves_the_config(run, workspace, tmp_path):
    images, folder = tmp_path / "photos", tmp_path / "run"
    shutil.copytree(workspace / "photos", images)
    words = ["train", "tokenizer", workspace / "tiny.yaml", "--data", images, "--out", folder]
    assert run(*words, "--quiet", "--run.steps", 2, "--tables", 0)[0] == 0
    before = (folder / "config.json").read_bytes()
    (images / "0.png").unlink()
    code, _, err = run("train", "tokenizer", "--resume", folder, "--run.steps", 9)
    assert code == 2
    assert "begun with other images" in err
    assert (folder / "config.json").read_bytes() == before


def test_train_vqgan_runs_and_resumes(run, workspace, tmp_path):
    words = ["train", "vqgan", workspace / "tiny.yaml", "--data", workspace / "photos", "--quiet"]
    words += ["--adversarial.start_step", "2", "--discriminator.base_channels", "4"]
    assert run(*words, "--discriminator.layers", 2, "--out", tmp_path / "run")[0] == 0
    code, out, _ = run("train", "vqgan", "--resume", tmp_path / "run", "--quiet")
    assert code == 0
    assert "best model" in out


def test_train_segmentation_runs_resumes_and_is_evaluated(run, workspace, tmp_path):
    maps = tmp_path / "maps"
    maps.mkdir()
    for number in range(4):
        labels = (torch.arange(32 * 40).view(1, 32, 40) // (7 + number) % 5).to(torch.uint8)
        to_pil(labels).save(maps / f"{number}.png")
    words = ["train", "segmentation", workspace / "tiny.yaml", "--data", maps, "--quiet"]
    folder = tmp_path / "run"
    assert run(*words, "--labels.num_labels", 5, "--out", folder)[0] == 0
    assert run("train", "segmentation", "--resume", folder, "--quiet")[0] == 0
    words = ["evaluate", folder, "--data", maps, "--lengths", 1, 2]
    code, out, _ = run(*words, "--json", tmp_path / "out.json", "--limit", 3)
    assert code == 0
    points = json.loads((tmp_path / "out.json").read_text())["points"]
    assert len(points) == 2
    assert points[0]["num_images"] == 3
    assert f"{points[1]['mean_iou']:.3f}" in out
    code, _, err = run("loopify", folder, "--data", maps, "--out", tmp_path / "loopy")
    assert code == 2
    assert "takes label maps" in err
    code, _, err = run(*words, "--csv", tmp_path / "out.csv")
    assert code == 2
    assert "--csv is for images" in err
    code, _, err = run(*words, "--depth")
    assert code == 2
    assert "--depth is for tokenizers of depth maps, this one is of label maps" in err
    code, _, err = run(*words, "--label-shift", 3)
    assert code == 2
    assert "no readable label map" in err


def test_train_and_evaluate_on_depth(run, workspace, tmp_path):
    words = ["train", "tokenizer", workspace / "tiny.yaml", "--data", workspace / "photos"]
    words += ["--content", "depth", "--quiet", "--out", tmp_path / "run"]
    code, _, err = run(*words)
    assert code == 2
    assert "depth maps have one channel, but image_channels is 3" in err
    assert run(*words, "--tokenizer.image_channels", 1)[0] == 0
    names = []
    for options in ((), ("--depth",)):
        fitted = ("tables", tmp_path / "run", "--data", workspace / "photos", "--out")
        file = tmp_path / f"tables{len(options)}.safetensors"
        assert run(*fitted, file, *options)[0] == 0
        names.append(coding_identity(load_tokenizer(file), load_tables(file)))
    trained = tmp_path / "run" / "best.safetensors"
    own = coding_identity(load_tokenizer(trained), load_tables(trained))
    assert [own == name for name in names] == [False, True]
    words = ["evaluate", tmp_path / "run", "--data", workspace / "photos", "--depths", 1]
    depth, grey = run(*words, "--depth")[1], run(*words)[1]
    assert depth != grey
    code, _, err = run("evaluate", workspace / "run", "--data", workspace / "photos", "--depth")
    assert code == 2
    assert "depth maps have one channel" in err


def test_only_a_state_that_is_there_is_said_to_be_saved(run, workspace, tmp_path, monkeypatch):
    def interrupted(*_args, **_told):
        raise KeyboardInterrupt

    words = ("train", "tokenizer", workspace / "tiny.yaml", "--data", workspace / "photos")
    monkeypatch.setattr("loopyvq.training.train_tokenizer", interrupted)
    code, _, err = run(*words, "--out", tmp_path / "never")
    assert code == 130
    assert "state saved" not in err
    code, _, err = run(*words, "--out", workspace / "run")
    assert f"state saved; go on with: loopyvq train tokenizer --resume {workspace / 'run'}" in err


def test_another_kind_of_training_and_a_look_leave_a_run_alone(run, workspace, tmp_path):
    words = ("train", "tokenizer", workspace / "tiny.yaml", "--data", workspace / "photos")
    assert run(*words, "--out", tmp_path, "--quiet", "--tables", 0)[0] == 0
    before = (tmp_path / "config.json").read_bytes()
    code, _, err = run("train", "vqgan", "--resume", tmp_path, "--run.steps", 9)
    assert code == 2
    assert "is of another kind: TokenizerTrainingConfig" in err
    code, out, _ = run(
        "train", "tokenizer", "--resume", tmp_path, "--run.steps", 50, "--show-config"
    )
    assert code == 0
    assert "steps: 50" in out
    assert (tmp_path / "config.json").read_bytes() == before
