import numpy as np
import pytest
from PIL import Image


@pytest.mark.parametrize("wish", ["--threshold 0.3", "--quality 40", "--target-bpp 1.5"])
def test_folders_of_images_go_there_and_back(run, workspace, tmp_path, wish):
    model, photos = workspace / "run", workspace / "photos"
    words = ["compress", photos, "--model", model, "--out", tmp_path / "c", *wish.split()]
    code, out, err = run(*words)
    assert code == 0, err
    assert len(list((tmp_path / "c").rglob("*.lvq"))) == 6
    assert (tmp_path / "c" / "sub" / "1.png.lvq").is_file()
    assert out.count("bit/pixel") == 6
    code, _, err = run("decompress", tmp_path / "c", "--model", model, "--out", tmp_path / "d")
    assert code == 0, err
    for path in photos.rglob("*.png"):
        with (
            Image.open(path) as image,
            Image.open(tmp_path / "d" / path.relative_to(photos)) as back,
        ):
            assert image.size == back.size


def test_every_site_can_be_given_a_token(run, workspace, tmp_path):
    words = [workspace / "photos" / "0.png", "--model", workspace / "run", "--out", tmp_path]
    wish = ["--threshold", 2, "--no-bound"]
    assert run("compress", *words, *wish)[0] == 0
    nothing = (tmp_path / "0.png.lvq").stat().st_size
    assert run("compress", *words, *wish, "--min-length", 1)[0] == 0
    assert (tmp_path / "0.png.lvq").stat().st_size > nothing


def test_grey_images_stay_grey(run, workspace, tmp_path):
    Image.fromarray(np.full((20, 24), 77, np.uint8)).save(tmp_path / "grey.png")
    model = workspace / "run"
    assert run("compress", tmp_path / "grey.png", "--model", model, "--out", tmp_path)[0] == 0
    words = ("decompress", tmp_path / "grey.png.lvq", "--model", model, "--out", tmp_path / "d")
    assert run(*words)[0] == 0
    with Image.open(tmp_path / "d" / "grey.png") as image:
        assert image.mode == "L"


def test_arrays_need_no_model(run, tmp_path):
    vectors = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    np.save(tmp_path / "v.npy", vectors)
    np.save(tmp_path / "codes.npy", vectors[:32])
    given = ["--codebook", tmp_path / "codes.npy", "--by-reference"]
    for options, needed in (([], []), (given, given[:2])):
        words = [tmp_path / "v.npy", "--max-error", 0.2, "--out", tmp_path / "c"]
        code, out, err = run("compress", *words, *options)
        assert code == 0, err
        assert "% of 4800" in out
        file = tmp_path / "c" / "v.npy.lvq"
        assert run("decompress", file, "--out", tmp_path / "d", *needed)[0] == 0
        back = np.load(tmp_path / "d" / "v.npy")
        assert np.linalg.norm(back - vectors, axis=1).max() <= 0.2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--max-error", "0.1", "--bound"), "--bound is for images"),
        (("--max-error", "0.1", "--min-length", "1"), "--min-length is for images"),
        (("--max-error", "0.1", "--jobs", "0"), "--jobs must be at least 1"),
    ],
)
def test_arrays_refuse_what_is_for_images(run, tmp_path, options, message):
    np.save(tmp_path / "v.npy", np.ones((4, 2)))
    code, _, err = run("compress", tmp_path / "v.npy", "--out", tmp_path, *options)
    assert code == 2
    assert message in err


def test_images_refuse_what_is_for_arrays(run, workspace, tmp_path):
    words = (workspace / "photos" / "0.png", "--model", workspace / "run", "--out", tmp_path)
    code, _, err = run("compress", *words, "--by-reference")
    assert code == 2
    assert "--by-reference is for arrays" in err
