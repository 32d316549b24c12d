import csv
import json

from PIL import Image


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
    code, out, _ = run(*words, "--depths", 1, 2)
    assert code == 0
    rows = [[cell.strip() for cell in row.split("|")[1:4]] for row in out.splitlines()[2:4]]
    assert rows == [["0", "1", "1.00"], ["0", "2", "2.00"]]
    for more in (["--lengths", 1, 2.5], []):
        code, out, _ = run(*words, *more)
        assert code == 0
        assert "perplexity" in out


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


def test_the_other_stop_rule_spends_fewer_tokens_at_a_threshold(run, workspace, tmp_path):
    words = ["evaluate", workspace / "run", "--data", workspace / "photos", "--thresholds", 0.1]
    found = {}
    for stop in ("threshold", "rate_distortion"):
        assert run(*words, "--stop", stop, "--json", tmp_path / "a.json")[0] == 0
        (point,) = json.loads((tmp_path / "a.json").read_text())["points"]
        found[stop] = point["tokens_per_site"]
    assert found["rate_distortion"] < found["threshold"]


def test_tiny_images_take_no_similarity_from_others(run, workspace, tmp_path):
    photo = workspace / "photos" / "0.png"
    words = ["evaluate", workspace / "run", "--thresholds", 0.3, "--json", tmp_path / "a.json"]
    for name in ("one", "both"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(photo.read_bytes())
    Image.new("RGB", (3, 40), "teal").save(tmp_path / "both" / "tiny.png")
    ssim = []
    for name in ("one", "both"):
        code, out, err = run(*words, "--data", tmp_path / name)
        assert code == 0, err
        told = "1 images are under 11 pixels along a side and have no SSIM or MS-SSIM"
        assert (told in out) is (name == "both")
        ssim.append(json.loads((tmp_path / "a.json").read_text())["points"][0]["ssim"])
    assert ssim[0] == ssim[1]


def test_fixed_depths_end_nowhere_else(run, workspace):
    words = ["evaluate", workspace / "run", "--data", workspace / "photos", "--depths", 2]
    code, _, err = run(*words, "--min-length", 3)
    assert code == 2
    assert "--stop and --min-length are for sites that may end" in err
