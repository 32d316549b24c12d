import csv
import math
import warnings
import zipfile

import pytest
import torch

from loopyvq.evaluation import rd_run
from loopyvq.evaluation.rd_points import RdPoint, points_to_csv
from loopyvq.losses.perceptual import LPIPS


@pytest.fixture
def lpips_weights(tmp_path):
    from loopyvq.tensor_file import write_tensors

    torch.manual_seed(0)
    path = tmp_path / "lpips_vgg16.safetensors"
    write_tensors(path, "lpips weights", LPIPS().state_dict())
    return path


def test_models_and_baselines_in_one_run(run, workspace, tmp_path, lpips_weights):
    model, photos = workspace / "run", workspace / "photos"
    words = ["--data", photos, "--limit", 2, "--out", tmp_path / "rd", "--lpips", lpips_weights]
    options = ["--thresholds", 0.5, 0.2, "--baselines", "jpeg", "--stop"]
    models = ["--model", f"loop={model}", "--fixed-depth", f"cut={model}"]
    code, out, err = run(
        "evaluate", "rd", *models, *words, *options, "rate_distortion", "threshold"
    )
    assert code == 0, err
    assert "PSNR in dB" in out
    assert "LPIPS" in out
    with (tmp_path / "rd.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (2 + 2 + 4 + 9)
    assert {row["setting"] for row in rows} >= {"0.5", "4 turns", "10"}
    assert {row["system"] for row in rows} >= {"loop, threshold stop", "cut", "jpeg"}
    assert (tmp_path / "rd.png").is_file()
    page = (tmp_path / "rd.html").read_text()
    assert "--model loop=run" in page
    assert str(workspace) not in page
    again = ["evaluate", "rd", "--points", tmp_path / "rd.csv", "--out", tmp_path / "again"]
    assert run(*again)[1] == out


def test_two_images_of_one_name_are_no_curve(run, workspace, tmp_path):
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        warnings.simplefilter("ignore")
        for _ in range(2):
            archive.write(workspace / "photos" / "0.png", "a.png")
    words = ["--data", tmp_path / "a.zip", "--baselines", "jpeg", "--out", tmp_path / "rd"]
    code, _, err = run("evaluate", "rd", *words)
    assert code == 2
    assert "2 images of" in err
    assert "have the name a.png: rename them" in err
    assert not (tmp_path / "rd.csv").exists()
    assert run("evaluate", "rd", *words, "--limit", 1)[0] == 0


def test_there_must_be_something_to_measure(run, workspace, tmp_path):
    photos, model = workspace / "photos", workspace / "run"
    assert run("evaluate", "rd", "--data", photos, "--baselines", "gif")[0] == 2
    assert run("evaluate", "rd", "--data", photos, "--baselines")[0] == 2
    assert run("evaluate", "rd", "--data", photos, "--limit", 0)[0] == 2
    code, _, err = run(
        "evaluate", "rd", "--data", photos, "--model", f"a={model}", "--model", f"a={model}"
    )
    assert code == 2
    assert "names" in err
    (tmp_path / "some.csv").write_text("a,b\n1,2\n")
    assert "no table" in run("evaluate", "rd", "--points", tmp_path / "some.csv")[2]
    assert "cannot read" in run("evaluate", "rd", "--points", tmp_path / "none.csv")[2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "jpeg={model}"), "names of their own, got jpeg, jpeg"),
        (("--model", "a={model}", "--against", "b"), "no system 'b', but a, jpeg"),
        (("--fixed-depth", "a={model}", "--bound"), "--bound is for models of variable length"),
        (("--model", "a={model}", "--most-bpp", "0"), "--most-bpp must be above 0, got 0"),
        (("--model", "a={model}", "--most-bpp", "nan"), "--most-bpp must be above 0, got nan"),
    ],
)
def test_what_cannot_be_reported_is_said_before_measuring(run, workspace, tmp_path, words, message):
    words = [word.format(model=workspace / "run") for word in words]
    out = ("--baselines", "jpeg", "--out", tmp_path / "rd")
    code, _, err = run("evaluate", "rd", "--data", workspace / "photos", *words, *out)
    assert code == 2
    assert message in err
    assert not list(tmp_path.iterdir())


def test_a_run_that_fails_leaves_earlier_tables(run, workspace, tmp_path, monkeypatch):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_text("no image")
    (tmp_path / "rd.csv").write_text("kept")
    words = ("evaluate", "rd", "--baselines", "jpeg", "--out", tmp_path / "rd", "--data")
    assert run(*words, tmp_path / "broken")[0] == 2
    assert (tmp_path / "rd.csv").read_text() == "kept"

    def stopped(*asked, **told):
        yield from list(measure(*asked, **told))[:3]
        raise KeyboardInterrupt

    measure = rd_run.measure_systems
    monkeypatch.setattr(rd_run, "measure_systems", stopped)
    code, _, err = run(*words, workspace / "photos")
    assert code == 130
    assert f"what was measured is in {tmp_path / 'rd.unfinished.csv'}" in err
    assert (tmp_path / "rd.csv").read_text() == "kept"
    again = ("evaluate", "rd", "--points", tmp_path / "rd.unfinished.csv", "--out")
    assert run(*again, tmp_path / "new" / "rd")[0] == 0
    assert (tmp_path / "new" / "rd.png").is_file()
    code, _, err = run(*again, tmp_path / "x", "--limit", 3)
    assert code == 2
    assert "--points measures nothing: leave out --limit" in err


def test_exact_files_leave_nothing_to_compare(run, tmp_path):
    nan = math.nan
    table = tmp_path / "points.csv"
    table.write_text(points_to_csv([RdPoint("a", "q", "x", 10, 0.3, math.inf, nan, nan)]))
    code, _, err = run("evaluate", "rd", "--points", table, "--out", tmp_path / "out")
    assert code == 2
    assert "there is nothing to compare" in err
    assert err.count("\n") == 1
    table.write_text(points_to_csv([RdPoint("a", "q", "x", 10, 0.3, math.inf, 0.9, nan)]))
    code, out, err = run("evaluate", "rd", "--points", table, "--out", tmp_path / "out")
    assert code == 0, err
    assert "| SSIM |" in out
