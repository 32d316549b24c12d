import pytest


@pytest.fixture
def file(run, workspace, tmp_path):
    words = [workspace / "photos" / "0.png", "--model", workspace / "run", "--threshold", 0.1]
    assert run("compress", *words, "--out", tmp_path)[0] == 0
    return tmp_path / "0.png.lvq"


def test_prefixes_and_damage(run, workspace, tmp_path, file):
    pictures = []
    for turns in (0, 1, 4):
        words = [file, "--model", workspace / "run", "--out", tmp_path / str(turns)]
        assert run("decompress", *words, "--turns", turns)[0] == 0
        pictures.append((tmp_path / str(turns) / "0.png").read_bytes())
    assert len(set(pictures)) == 3
    half = tmp_path / "half.lvq"
    half.write_bytes(file.read_bytes()[:-9])
    words = ["decompress", half, "--model", workspace / "run", "--out", tmp_path / "half"]
    code, _, err = run(*words)
    assert code == 2
    assert "half.lvq: " in err
    assert run(*words, "--partial")[0] == 0
    assert (tmp_path / "half" / "half.png").is_file()


def test_a_caller_sets_limits(run, workspace, file):
    code, _, err = run("decompress", file, "--model", workspace / "run", "--max-pixels", 100)
    assert code == 2
    assert "more than the allowed 100" in err


def test_what_lies_beside_the_file_is_spared(run, workspace, tmp_path, file):
    original = file.with_name("0.png")
    original.write_bytes(b"the original")
    words = ("decompress", file, "--model", workspace / "run", "--out", tmp_path)
    code, _, err = run(*words)
    assert code == 2
    assert "perhaps it is the original" in err
    assert original.read_bytes() == b"the original"
    assert run(*words, "--overwrite")[0] == 0
    assert original.read_bytes() != b"the original"
    again = (*words[:-1], tmp_path / "elsewhere")
    assert [run(*again)[0], run(*again)[0]] == [0, 0]
