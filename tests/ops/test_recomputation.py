import pytest
import torch
from torch.utils.checkpoint import checkpoint

from loopyvq.ops.recomputation import is_recomputation


class Ask(torch.autograd.Function):
    """Note in both directions what is answered."""

    @staticmethod
    def forward(ctx, values, answers):
        ctx.answers = answers
        answers.append(("forward", is_recomputation()))
        return values.clone()

    @staticmethod
    def backward(ctx, gradient):
        ctx.answers.append(("backward", is_recomputation()))
        return gradient, None


def test_a_backward_pass_is_noticed_and_its_end_too():
    answers = []
    Ask.apply(torch.ones(2, requires_grad=True), answers).sum().backward()
    assert answers == [("forward", False), ("backward", True)]
    assert not is_recomputation()


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_the_pass_that_checkpointing_repeats_is_noticed(use_reentrant):
    answers = []

    def ask(values):
        answers.append(is_recomputation())
        return values.square()

    values = torch.ones(2, requires_grad=True)
    checkpoint(ask, values, use_reentrant=use_reentrant).sum().backward()
    assert answers == [False, True]
    assert not is_recomputation()


def test_an_error_in_a_backward_pass_ends_it():
    values = torch.ones(2, requires_grad=True)
    doubled = 2 * values

    def fail(_):
        raise ZeroDivisionError

    doubled.register_hook(fail)
    with pytest.raises(ZeroDivisionError):
        doubled.sum().backward()
    assert not is_recomputation()
