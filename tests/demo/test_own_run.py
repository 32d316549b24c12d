import json

import pytest

from loopyvq.demo.own_run import (
    DemoImages,
    measurements,
    read_history,
    remove_run,
    require_own_run,
)
from loopyvq.errors import ConfigError


def write_run(folder, data):
    folder.mkdir()
    for name in ("state.safetensors", "best.safetensors", "notes.txt"):
        (folder / name).write_bytes(b"x")
    if data is not None:
        (folder / "config.json").write_text(json.dumps({"data": data}))


def test_a_demo_replaces_its_own_run_and_nothing_else(tmp_path):
    require_own_run(tmp_path / "missing")
    write_run(tmp_path / "demo", DemoImages.__name__)
    require_own_run(tmp_path / "demo")
    remove_run(tmp_path / "demo")
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == [
        "config.json",
        "notes.txt",
    ]


@pytest.mark.parametrize("data", ["photos", "Subset", None])
def test_other_runs_are_refused(tmp_path, data):
    write_run(tmp_path / "run", data)
    with pytest.raises(ConfigError, match="holds a run that no demo"):
        require_own_run(tmp_path / "run")


def test_a_run_on_tokens_is_known_by_the_name_of_their_folder(tmp_path):
    write_run(tmp_path / "prior", "/before/it/moved/tokens")
    require_own_run(tmp_path / "prior", "tokens")
    with pytest.raises(ConfigError):
        require_own_run(tmp_path / "prior")
    with pytest.raises(ConfigError):
        require_own_run(tmp_path / "prior", "shards")


@pytest.mark.parametrize("name", ["model.safetensors", "prior.safetensors"])
def test_a_model_beside_a_run_of_a_demo_is_refused(tmp_path, name):
    write_run(tmp_path / "demo", DemoImages.__name__)
    (tmp_path / "demo" / name).write_bytes(b"x")
    with pytest.raises(ConfigError, match="that no demo of this version wrote"):
        require_own_run(tmp_path / "demo")


def test_the_measurements_of_a_run(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.5}\n{"step": 2}\n')
    assert read_history(tmp_path) == [{"step": 1, "loss": 2.5}, {"step": 2}]


def test_a_course_leaves_out_what_is_missing_or_not_finite():
    history = [{"step": 1, "a": 2.5}, {"step": 2}, {"step": 3, "a": float("nan")}, {"a": 1.0}]
    assert measurements([*history, {"step": 4, "a": 1}], "a") == [(1.0, 2.5), (4.0, 1.0)]
