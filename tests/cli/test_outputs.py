import pytest

from loopyvq.cli.outputs import in_jobs, output_path
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
