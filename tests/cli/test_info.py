def test_info_describes_models_and_tokens(run, workspace, tmp_path):
    code, out, _ = run("info", workspace / "run")
    assert code == 0
    assert "16 codes of width 4, up to 4 turns" in out
    run("encode", workspace / "run", workspace / "photos" / "0.png", "--out", tmp_path)
    code, out, _ = run("info", tmp_path / "0.png.tokens")
    assert code == 0
    for text in ("40 x 33 pixels, 5 x 5 sites", "run_length", "depth_major"):
        assert text in out
