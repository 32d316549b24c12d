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
