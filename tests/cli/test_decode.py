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


def test_images_that_differ_in_their_suffix_stay_apart(run, workspace, tmp_path):
    run("encode", workspace / "run", workspace / "photos" / "0.png", "--out", tmp_path / "t")
    tokens = (tmp_path / "t" / "0.png.tokens").read_bytes()
    (tmp_path / "t" / "0.jpg.tokens").write_bytes(tokens)
    code, out, _ = run("decode", workspace / "run", tmp_path / "t", "--out", tmp_path / "d")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["0.jpg.png", "0.png"]
    assert len(out.splitlines()) == 2


def test_what_lies_beside_the_tokens_is_spared(run, workspace, tmp_path):
    photo = tmp_path / "0.png"
    photo.write_bytes((workspace / "photos" / "0.png").read_bytes())
    assert run("encode", workspace / "run", photo, "--out", tmp_path)[0] == 0
    words = ("decode", workspace / "run", tmp_path / "0.png.tokens", "--out", tmp_path)
    code, _, err = run(*words)
    assert code == 2
    assert "perhaps it is the original" in err
    assert photo.read_bytes() == (workspace / "photos" / "0.png").read_bytes()
    assert run(*words, "--overwrite")[0] == 0
    assert photo.read_bytes() != (workspace / "photos" / "0.png").read_bytes()


def test_an_output_that_cannot_be_is_one_line(run, workspace, tmp_path):
    run("encode", workspace / "run", workspace / "photos" / "0.png", "--out", tmp_path)
    (tmp_path / "file").write_text("in the way")
    words = ("decode", workspace / "run", tmp_path / "0.png.tokens", "--out", tmp_path / "file")
    code, _, err = run(*words)
    assert code == 2
    assert len(err.splitlines()) == 1
    assert f"cannot write {tmp_path / 'file' / '0.png'}" in err
