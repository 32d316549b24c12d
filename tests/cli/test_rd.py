import csv


def test_models_and_baselines_in_one_run(run, workspace, tmp_path):
    model = workspace / "run"
    words = ["--data", workspace / "photos", "--limit", 2, "--out", tmp_path / "rd"]
    options = ["--thresholds", 0.5, 0.2, "--baselines", "jpeg"]
    code, out, err = run(
        "evaluate", "rd", "--model", model, "--model", f"depth={model}", *words, *options
    )
    assert code == 0, err
    assert "PSNR in dB" in out
    with (tmp_path / "rd.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (2 + 4 + 9)
    assert {row["setting"] for row in rows} >= {"0.5", "4 turns", "10"}
    assert (tmp_path / "rd.png").is_file()


def test_there_must_be_something_to_measure(run, workspace):
    photos = workspace / "photos"
    assert run("rd", "--data", photos, "--baselines", "gif")[0] == 2
    assert run("rd", "--data", photos, "--baselines")[0] == 2
