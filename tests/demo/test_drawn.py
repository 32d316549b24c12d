from loopyvq.demo.drawn import read_history


def test_the_measurements_of_a_run(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 2.5}\n{"step": 2}\n')
    assert read_history(path) == [{"step": 1, "loss": 2.5}, {"step": 2}]
