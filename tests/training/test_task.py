import torch

from loopyvq.training import TokenizerTask, VqganTask
from loopyvq.training.task import AdversarialTask, Task, Validation


def test_both_tasks_are_what_the_loop_expects():
    for task in (TokenizerTask, VqganTask):
        assert all(hasattr(task, name) for name in ("loss", "networks", "after_step", "measure"))
        assert all(hasattr(task, name) for name in ("validate", "save"))
    for name in ("begin_step", "adversary_loss"):
        assert hasattr(VqganTask, name)
        assert not hasattr(TokenizerTask, name)


def test_a_model_alone_is_no_task():
    model = torch.nn.Linear(2, 2)
    assert not isinstance(model, Task)
    assert not isinstance(model, AdversarialTask)


def test_a_validation_may_have_no_score():
    panel = torch.zeros(3, 2, 2, dtype=torch.uint8)
    assert Validation(None, {"psnr_db": 20.0}, panel).score is None


def test_the_unit_of_a_score_is_shown():
    assert Validation(1.0, {}, torch.zeros(3, 1, 1, dtype=torch.uint8)).unit == "dB"
