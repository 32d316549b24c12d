import torch

from loopyvq.training.journal import Journal
from tests.training.conftest import lines


def test_lines_beyond_the_resumed_step_are_forgotten(tmp_path):
    with Journal(tmp_path, 0, 10, quiet=True, tensorboard=False) as journal:
        for step in (2, 4, 6):
            journal.write(step, {"loss": step / 10}, {"loss": "x"})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 1, "los')  # what a kill leaves behind
    with Journal(tmp_path, 4, 10, quiet=True, tensorboard=False) as journal:
        journal.write(6, {"loss": 9.0}, {})
    assert lines(tmp_path) == [
        {"step": 2, "loss": 0.2},
        {"step": 4, "loss": 0.4},
        {"step": 6, "loss": 9.0},
    ]


def test_the_bar_shows_what_it_is_told(tmp_path, capsys):
    with Journal(tmp_path, 0, 2, quiet=False, tensorboard=False) as journal:
        journal.write(1, {}, {"PSNR": "31.2dB"})
        journal.advance()
        journal.advance()
    assert "PSNR=31.2dB" in capsys.readouterr().err


def test_tensorboard_gets_numbers_and_pictures(tmp_path):
    with Journal(tmp_path, 0, 2, quiet=True, tensorboard=True) as journal:
        journal.write(1, {"loss": 0.5, "list": [1, 2]}, {})
        journal.picture(1, "panel", torch.zeros(3, 8, 8, dtype=torch.uint8))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert events.Scalars("loss")[0].value == 0.5
    assert events.Images("panel")[0].width == 8


def test_damaged_lines_are_forgotten_and_others_keep_nothing(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\ngarbage\n[]\n{"step": "x"}\n')
    with Journal(tmp_path, 4, 10, quiet=True, tensorboard=True, is_kept=False) as other:
        other.write(6, {"loss": 9.0}, {})
        other.advance()
    assert "garbage" in (tmp_path / "metrics.jsonl").read_text()
    with Journal(tmp_path, 4, 10, quiet=True, tensorboard=False):
        pass
    assert lines(tmp_path) == [{"step": 1}]
    assert not (tmp_path / "tensorboard").exists()
