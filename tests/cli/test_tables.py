import shutil

import pytest

from loopyvq.codec import load_tables
from loopyvq.coding import Tables
from loopyvq.coding.fit import NARROW, WIDE


@pytest.fixture
def little_fit(monkeypatch):
    import loopyvq.codec.table_fitting as module

    fit = module.fit_tables

    def fit_little(*arguments: object, widths: tuple[int, ...] = NARROW) -> Tables:
        return fit(*arguments[:4], examples_per_turn=200, epochs=1, widths=widths)

    monkeypatch.setattr(module, "fit_tables", fit_little)


def hidden_widths(model):
    return [len(network.first.bias) for network in load_tables(model).networks]


@pytest.mark.usefixtures("little_fit")
def test_training_ends_with_tables(run, workspace, tmp_path):
    words = ["train", "tokenizer", workspace / "tiny.yaml", "--data", workspace / "photos"]
    code, _, err = run(*words, "--out", tmp_path / "run", "--quiet", "--run.steps", 2)
    assert code == 0, err
    assert load_tables(tmp_path / "run").max_depth == 4


@pytest.mark.usefixtures("little_fit")
def test_tables_are_stored_with_a_model(run, workspace, tmp_path):
    model = tmp_path / "model.safetensors"
    shutil.copy(workspace / "run" / "best.safetensors", model)
    words = ["compress", workspace / "photos" / "0.png", "--model", model, "--out", tmp_path]
    assert run(*words, "--mode", "static")[0] == 2
    code, out, err = run("tables", model, "--data", workspace / "photos", "--limit", 3)
    assert code == 0, err
    assert "bytes" in out
    few = run("tables", model, "--data", workspace / "photos", "--examples", 0)
    assert few[0] == 2
    assert "--examples must be at least 1, got 0" in few[2]
    assert load_tables(model).codebook_size == 16
    assert run("info", model)[0] == 0
    assert hidden_widths(model) == [144, 96, 64, 64]
    words_of_copy = [
        "--wide",
        "--data",
        workspace / "photos",
        "--fixed-depth",
        "--out",
        tmp_path / "c.safetensors",
    ]
    assert "c.safetensors" in run("tables", model, *words_of_copy)[1]
    assert hidden_widths(tmp_path / "c.safetensors") == list(WIDE[:4])
    assert run(*words, "--mode", "static")[0] == 0
    assert "needs tokenizer" in run("info", tmp_path / "0.png.lvq")[1]
