import pytest
import torch
from torch import nn

from loopyvq.errors import CheckpointError
from loopyvq.tensor_file import write_tensors
from loopyvq.training.state import TrainingState, load_state, save_state, saved_progress


def state_after(steps: int) -> TrainingState:
    torch.manual_seed(steps)
    model, average = nn.Linear(2, 2), nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    return TrainingState(model, average, optimizer, step=steps, best_score=float(steps))


def test_a_state_comes_back_and_goes_on_alike(tmp_path):
    first, second = state_after(3), state_after(0)
    save_state(tmp_path / "s", first)
    load_state(tmp_path / "s", second)
    assert (second.step, second.best_score) == (3, 3.0)
    for state in (first, second):
        state.optimizer.zero_grad()
        state.model(torch.ones(1, 2)).sum().backward()
        state.optimizer.step()
    assert torch.equal(first.model.weight, second.model.weight)
    assert torch.equal(first.average.weight, second.average.weight)


def test_the_scale_of_the_loss_comes_back(tmp_path):
    first, second, other = (state_after(1) for _ in range(3))
    for state in (first, second):
        state.scaling = torch.amp.GradScaler("cpu")
    first.scaling.load_state_dict(first.scaling.state_dict() | {"scale": 8.0, "_growth_tracker": 5})
    save_state(tmp_path / "s", first)
    load_state(tmp_path / "s", second)
    assert second.scaling.state_dict() == first.scaling.state_dict()
    load_state(tmp_path / "s", other)  # which trains in another precision
    save_state(tmp_path / "s", other)
    load_state(tmp_path / "s", second)
    assert second.scaling.state_dict()["scale"] == 8.0


def test_no_score_yet_is_kept_as_none(tmp_path):
    state = state_after(0)
    state.best_score = float("-inf")
    save_state(tmp_path / "s", state)
    state.best_score = 1.0
    load_state(tmp_path / "s", state)
    assert state.best_score == float("-inf")


def test_an_incomplete_state_is_refused(tmp_path):
    state = state_after(1)
    tensors = {f"model.{k}": v for k, v in state.model.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in state.average.state_dict().items()}
    write_tensors(tmp_path / "s", "training state", tensors)
    with pytest.raises(CheckpointError, match="no complete training state"):
        load_state(tmp_path / "s", state)


def test_how_far_a_run_is(tmp_path):
    assert saved_progress(tmp_path / "s") == (0, 0.0)
    state = state_after(3)
    state.elapsed_s = 7.5
    save_state(tmp_path / "s", state)
    assert saved_progress(tmp_path / "s") == (3, 7.5)
    write_tensors(tmp_path / "s", "training state", {})
    with pytest.raises(CheckpointError, match="no complete training state"):
        saved_progress(tmp_path / "s")
