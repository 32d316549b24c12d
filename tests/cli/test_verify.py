from dataclasses import replace

import numpy as np

from loopyvq.codec import ReadingLimits


def test_promises_of_images_are_checked(run, workspace, tmp_path):
    model, photo = workspace / "run", workspace / "photos" / "0.png"
    words = [photo, "--model", model, "--out", tmp_path]
    file = tmp_path / "0.png.lvq"
    assert run("compress", *words, "--threshold", 0.2)[0] == 0
    code, out, err = run("verify", file, "--model", model, "--original", photo)
    assert code == 0, err
    assert "100.000 % within" in out
    assert "promises an error of at most 0.2" in run("verify", file, "--model", model)[1]
    other = workspace / "photos" / "2.png"
    code, _, err = run("verify", file, "--model", model, "--original", other)
    assert code == 2
    assert "the file holds 3 x 40 x 33" in err
    assert run("compress", *words, "--quality", 20)[0] == 0
    assert "promises an error of at most" in run("verify", tmp_path, "--model", model)[1]


def test_a_broken_promise_is_an_error(run, workspace, tmp_path):
    from PIL import Image

    model, photo = workspace / "run", workspace / "photos" / "0.png"
    run("compress", photo, "--model", model, "--out", tmp_path, "--threshold", 0.02)
    Image.new("RGB", (33, 40), "red").save(tmp_path / "other.png")
    words = [tmp_path / "0.png.lvq", "--model", model, "--original", tmp_path / "other.png"]
    code, _, err = run("verify", *words)
    assert code == 2
    assert "the bound is not kept" in err


def test_promises_of_arrays_are_checked(run, tmp_path):
    vectors = np.random.default_rng(0).normal(size=(50, 3))
    np.save(tmp_path / "v.npy", vectors)
    np.save(tmp_path / "w.npy", vectors + 1)
    np.save(tmp_path / "x.npy", vectors[1:])
    run("compress", tmp_path / "v.npy", "--max-error", 0.2, "--out", tmp_path)
    file = tmp_path / "v.npy.lvq"
    assert "promises an error of at most 0.2" in run("verify", file)[1]
    assert "promised 0.2" in run("verify", file, "--original", tmp_path / "v.npy")[1]
    for other in ("w", "x"):
        assert run("verify", file, "--original", tmp_path / f"{other}.npy")[0] == 2


def test_images_have_no_codebook(run, workspace, tmp_path):
    model, photo = workspace / "run", workspace / "photos" / "0.png"
    run("compress", photo, "--model", model, "--out", tmp_path, "--threshold", 0.2)
    np.save(tmp_path / "codes.npy", np.zeros((4, 3)))
    words = [tmp_path / "0.png.lvq", "--model", model, "--codebook", tmp_path / "codes.npy"]
    code, _, err = run("verify", *words)
    assert code == 2
    assert "--codebook is for arrays" in err


def test_originals_that_no_file_is_made_from(run, tmp_path):
    vectors = np.random.default_rng(0).normal(size=(50, 3))
    np.save(tmp_path / "v.npy", vectors)
    run("compress", tmp_path / "v.npy", "--max-error", 0.2, "--out", tmp_path)
    hurt = vectors.copy()
    hurt[7, 1] = np.nan
    for other, message in (
        (hurt, "the bound is not kept"),
        (vectors + 1j, "holds complex128, which no file is made from"),
        (vectors.astype(str), "which no file is made from"),
    ):
        np.save(tmp_path / "other.npy", other)
        words = ("verify", tmp_path / "v.npy.lvq", "--original", tmp_path / "other.npy")
        code, _, err = run(*words)
        assert code == 2
        assert message in err


def test_whoever_compresses_beyond_the_limits_is_told_and_can_verify(
    run, workspace, tmp_path, monkeypatch
):
    def narrow(self, header, num_sites):
        most = self.max_tokens if self.max_tokens < 1 << 24 else 60
        return check(replace(self, max_tokens=most), header, num_sites)

    check = ReadingLimits.check
    monkeypatch.setattr(ReadingLimits, "check", narrow)
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(50, 3)))
    photo, model = workspace / "photos" / "0.png", ("--model", workspace / "run")
    for name, words in (
        ("v.npy", (tmp_path / "v.npy", "--max-error", 0.2)),
        ("0.png", (photo, *model, "--threshold", 0.2)),
    ):
        code, _, err = run("compress", *words, "--out", tmp_path)
        assert code == 0
        assert "readers must be told that they may read it" in err
        assert "allow more (--max-tokens) if you trust it" in err
        more, file = model * (name == "0.png"), tmp_path / f"{name}.lvq"
        assert run("verify", file, *more)[0] == 2
        for command in (("verify", file), ("info", file, "--verify"), ("decompress", file)):
            words = (*command, *more, "--max-tokens", 10000)
            words += ("--out", tmp_path / "d") * (command[0] == "decompress")
            code, _, err = run(*words)
            assert code == 0, err
