def test_info_describes_models_and_tokens(run, workspace, tmp_path):
    code, out, _ = run("info", workspace / "run")
    assert code == 0
    assert "16 codes of width 4, up to 4 turns" in out
    run("encode", workspace / "run", workspace / "photos" / "0.png", "--out", tmp_path)
    code, out, _ = run("info", tmp_path / "0.png.tokens")
    assert code == 0
    for text in ("40 x 33 pixels, 5 x 5 sites", "run_length", "depth_major"):
        assert text in out


def test_info_describes_and_verifies_compressed_files(run, workspace, tmp_path):
    model, photo = workspace / "run", workspace / "photos" / "0.png"
    run("compress", photo, "--model", model, "--out", tmp_path, "--threshold", 0.25)
    file = tmp_path / "0.png.lvq"
    code, out, _ = run("info", file, "--verify", "--model", model, "--original", photo)
    assert code == 0
    for text in ("40 x 33 pixels", "threshold 0.25, kept at every site", "100.000 % within"):
        assert text in out
    run("compress", photo, "--model", model, "--out", tmp_path, "--quality", 60)
    assert "no site further than" in run("info", file)[1]
    file.write_bytes(file.read_bytes()[:-2])
    assert "cut off" in run("info", file)[1]


def test_a_prior_says_what_it_was_trained_on(run, prior):
    code, out, err = run("info", prior)
    assert code == 0, err
    assert "prior SitePrior" in out
    assert "4 x 4 sites" in out
    assert "16 codes" in out


def test_options_of_checking_need_a_file_to_check(run, workspace, tmp_path):
    photo = workspace / "photos" / "0.png"
    run("compress", photo, "--model", workspace / "run", "--out", tmp_path)
    code, _, err = run("info", tmp_path / "0.png.lvq", "--original", photo)
    assert code == 2
    assert "--original and --codebook are for --verify" in err
    code, _, err = run("info", workspace / "run", "--verify")
    assert code == 2
    assert "--verify is for compressed files" in err
