import pytest
import torch

from loopyvq.errors import ConfigError
from loopyvq.ops.allowance import Allowance

HELD = {"weight": torch.zeros(4, 3)}


@pytest.mark.parametrize(
    "ask",
    [
        lambda: torch.nn.Conv2d(10**6, 10**6, 3),
        lambda: torch.nn.Embedding(10**30, 1),
        lambda: torch.zeros(10**7, 10**7),
        lambda: torch.full((10**12,), 1.0),
        lambda: torch.zeros(size=(10**7, 10**7)),
        lambda: torch.arange(end=10**12),
        lambda: torch.arange(10**12),
        lambda: [torch.zeros(2**16) for _ in range(100)],
        lambda: [torch.zeros(1) for _ in range(10**6)],
    ],
)
def test_far_more_than_is_held_is_refused_before_it_is_made(ask):
    with pytest.raises(ConfigError, match="far more than the file holds"), Allowance(HELD):
        ask()
    assert torch.is_grad_enabled()


def test_what_is_made_within_it_is_as_ever():
    torch.manual_seed(0)
    with Allowance(HELD):
        made = torch.nn.Linear(3, 4)
        assert torch.zeros(()).numel() == torch.ones(size=(1,)).numel() == 1
    torch.manual_seed(0)
    assert torch.equal(made.weight, torch.nn.Linear(3, 4).weight)
