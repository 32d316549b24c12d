import pytest
import torch

from loopyvq.errors import CheckpointError
from loopyvq.tensor_file import write_tensors
from loopyvq.training.vqgan_start import load_discriminator
from tests.training.test_vqgan_task import make

BATCH = ("--discriminator.normalisation", "batch")


@pytest.fixture
def extras(tmp_path):
    """A folder as `convert taming` leaves it, with a discriminator."""
    found = make(*BATCH).critic.discriminator.state_dict()
    tensors = {f"loss.discriminator.{name}": item + 1 for name, item in found.items()}
    write_tensors(tmp_path / "extras.safetensors", "taming extras", tensors)
    return tmp_path, tensors


@pytest.mark.parametrize("name", ["", "extras.safetensors"])
def test_the_discriminator_of_a_checkpoint_is_taken_up(extras, name):
    folder, tensors = extras
    task = make(*BATCH, "--discriminator_weights", str(folder / name))
    for key, item in task.critic.discriminator.state_dict().items():
        assert torch.equal(item, tensors[f"loss.discriminator.{key}"])


def test_one_of_other_sizes_is_refused(extras):
    with pytest.raises(CheckpointError, match="does not fit its config"):
        make("--discriminator.layers", "3", *BATCH, "--discriminator_weights", str(extras[0]))


def test_a_checkpoint_without_discriminator_is_refused(tmp_path):
    write_tensors(tmp_path / "extras.safetensors", "taming extras", {"colorize": torch.ones(1)})
    with pytest.raises(CheckpointError, match="holds no discriminator"):
        load_discriminator(make(*BATCH).critic.discriminator, str(tmp_path))
    with pytest.raises(CheckpointError, match="there is no file"):
        load_discriminator(make(*BATCH).critic.discriminator, str(tmp_path / "nowhere"))
