import pytest

from loopyvq.cli.outputs import in_jobs, output_path, spare_original
from loopyvq.errors import ConfigError


@pytest.mark.parametrize("jobs", [1, 2])
def test_work_comes_back_in_order(jobs):
    items = [-5, 3, -2, 8, 1, -9, 4]
    assert list(in_jobs(abs, iter(items), jobs)) == [(item, abs(item)) for item in items]


def test_there_must_be_jobs():
    with pytest.raises(ConfigError, match="--jobs"):
        list(in_jobs(abs, [1], 0))


def test_outputs_stay_in_their_folder():
    assert output_path("out", "/../a/./b.jpg", ".lvq").as_posix() == "out/a/b.jpg.lvq"
    assert output_path("out", "..", ".lvq").as_posix() == "out/image.lvq"


def test_what_a_link_leads_to_is_spared(tmp_path):
    original, link = tmp_path / "there" / "0.png", tmp_path / "0.png"
    original.parent.mkdir()
    original.write_bytes(b"the original")
    link.symlink_to(original)
    for source in (tmp_path / "0.png.lvq", tmp_path / "files" / "0.png.lvq"):
        with pytest.raises(ConfigError, match=r"0\.png is a link to .*perhaps it is the original"):
            spare_original(link, source, False)
        spare_original(link, source, True)
    spare_original(tmp_path / "1.png", tmp_path / "1.png.lvq", False)
