import shutil

from loopyvq.codec import load_tables
from loopyvq.coding import Tables


def test_tables_are_stored_with_a_model(run, workspace, tmp_path, monkeypatch):
    import loopyvq.codec.tables as module

    fit = module.fit_tables

    def fit_little(*arguments: object) -> Tables:
        return fit(*arguments, examples_per_turn=200, epochs=1)

    monkeypatch.setattr(module, "fit_tables", fit_little)
    model = tmp_path / "model.safetensors"
    shutil.copy(workspace / "run" / "best.safetensors", model)
    words = ["compress", workspace / "photos" / "0.png", "--model", model, "--out", tmp_path]
    assert run(*words, "--mode", "static")[0] == 2
    code, out, err = run("tables", model, "--data", workspace / "photos", "--limit", 3)
    assert code == 0, err
    assert "bytes" in out
    assert load_tables(model).codebook_size == 16
    assert run("info", model)[0] == 0
    assert run(*words, "--mode", "static")[0] == 0
    assert "needs tokenizer" in run("info", tmp_path / "0.png.lvq")[1]
