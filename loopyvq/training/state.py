"""The state of a training run in one file: model, average, optimizer, step, best score."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from loopyvq.checkpoint import load_weights, read_tensors, write_tensors
from loopyvq.errors import CheckpointError

__all__ = ["TrainingState", "load_state", "save_state"]

_KIND = "training state"


@dataclass
class TrainingState:
    """What changes while training.

    Attributes:
        model: the model in training.
        average: the running average of its weights.
        optimizer: its optimizer.
        step: steps done.
        best_score: best validation so far.
        elapsed_s: seconds trained, over all resumes.
    """

    model: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    best_score: float = -math.inf
    elapsed_s: float = 0.0


def save_state(path: Path, state: TrainingState) -> None:
    """Write a state, whole or not at all.

    Args:
        path: where to.
        state: the state.

    Raises:
        CheckpointError: the file cannot be written.
    """
    tensors = {f"model.{name}": tensor for name, tensor in state.model.state_dict().items()}
    for name, tensor in state.average.state_dict().items():
        tensors[f"average.{name}"] = tensor
    for index, moments in state.optimizer.state_dict()["state"].items():
        for name, tensor in moments.items():
            tensors[f"optimizer.{index}.{name}"] = tensor
    best = None if math.isinf(state.best_score) else state.best_score
    write_tensors(path, _KIND, tensors, step=state.step, best_score=best, elapsed_s=state.elapsed_s)


def load_state(path: Path, state: TrainingState) -> None:
    """Read a state into the objects that it belongs to.

    Args:
        path: the file.
        state: changed in place.

    Raises:
        CheckpointError: the file is missing, damaged, or belongs to another model.
    """
    tensors, header = read_tensors(path, _KIND)
    groups: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        group, _, rest = name.partition(".")
        groups.setdefault(group, {})[rest] = tensor
    load_weights(state.model, groups["model"], path)
    load_weights(state.average, groups["average"], path)
    try:
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in groups["optimizer"].items():
            index, _, moment = name.partition(".")
            moments.setdefault(int(index), {})[moment] = tensor
        whole = state.optimizer.state_dict()
        state.optimizer.load_state_dict({**whole, "state": moments})
        state.step = int(header["step"])
        best = header["best_score"]
        state.best_score = -math.inf if best is None else float(best)
        state.elapsed_s = float(header["elapsed_s"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} holds no complete training state: {error}") from error
