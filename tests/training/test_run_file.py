import json

from loopyvq.training.run_config import RunConfig
from loopyvq.training.run_file import read_run, save_length, write_run


def test_only_the_length_of_a_run_is_written_anew(tmp_path):
    save_length(tmp_path, RunConfig())
    assert not list(tmp_path.iterdir())
    write_run(tmp_path, {"data": "photos", "config": {"rate_weight": 2, "run": {"steps": 1}}})
    save_length(tmp_path, RunConfig(steps=7))
    values = read_run(tmp_path)
    assert (values["data"], values["config"]["rate_weight"]) == ("photos", 2)
    assert values["config"]["run"]["steps"] == 7
    before = (tmp_path / "config.json").stat().st_mtime_ns
    save_length(tmp_path, RunConfig(steps=7))
    assert (tmp_path / "config.json").stat().st_mtime_ns == before
    assert json.loads((tmp_path / "config.json").read_text()) == values
