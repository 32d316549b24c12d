import pytest
import torch

from loopyvq.errors import CheckpointError
from loopyvq.interop.blank import blank_state
from loopyvq.models import TamingConfig, Tokenizer
from loopyvq.models.prior.flat_prior import FlatPriorConfig
from loopyvq.models.taming.prior import TamingPrior, TamingPriorConfig


def test_names_and_shapes_alone():
    held = {"weight": torch.zeros(3, 4), "bias": torch.zeros(3)}
    found = blank_state(lambda: torch.nn.Linear(4, 3), held, "a.ckpt")
    assert {name: item.shape for name, item in found.items()} == {
        name: item.shape for name, item in held.items()
    }
    assert all(item.is_meta for item in found.values())


def test_sizes_take_no_memory():
    found = blank_state(lambda: torch.nn.Linear(10**9, 10**9), {}, "a.ckpt")
    assert found["weight"].shape == (10**9, 10**9)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Tokenizer(TamingConfig(blocks=10**6)),
        lambda: TamingPrior(TamingPriorConfig(prior=FlatPriorConfig(layers=10**6))),
    ],
)
def test_far_more_than_the_file_holds_takes_no_time(build):
    with pytest.raises(CheckpointError, match=r"a\.ckpt does not fit its config: it asks for far"):
        blank_state(build, {"weight": torch.zeros(3)}, "a.ckpt")
