"""Names and shapes of a model that a config describes, before any of it takes memory."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from loopyvq.errors import CheckpointError, ConfigError
from loopyvq.ops.allowance import Allowance

__all__ = ["blank_state"]


def blank_state(
    build: Callable[[], nn.Module], held: Mapping[str, Tensor], source: object
) -> dict[str, Tensor]:
    """Give the tensors of a model without their numbers.

    Args:
        build: makes the model.
        held: what the file holds; a config that asks for far more tensors is refused before it is
            met.
        source: the file they come from, for the message.

    Returns:
        Tensors on the device ``meta``, by name.

    Raises:
        CheckpointError: the config asks for far more tensors than the file holds.
    """
    try:
        with torch.device("meta"), Allowance(held, any_size=True):
            return build().state_dict()
    except ConfigError as error:
        raise CheckpointError(f"{source} does not fit its config: {error}") from error
