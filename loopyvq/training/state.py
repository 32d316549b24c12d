"""The state of a training run in one file: model, average, optimizer, step, best score."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from loopyvq.checkpoint import load_weights
from loopyvq.errors import CheckpointError
from loopyvq.tensor_file import read_tensors, write_tensors

__all__ = ["TrainingState", "load_state", "save_state", "saved_progress"]

_KIND = "training state"


@runtime_checkable
class _Scaling(Protocol):
    """What adapts the scale of the loss to 16-bit gradients; its state is numbers, or nothing."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None: ...


@dataclass
class TrainingState:
    """What changes while training.

    Attributes:
        model: the model in training.
        average: the running average of its weights.
        optimizer: its optimizer.
        adversary: the model that it plays against, if there is one.
        adversary_optimizer: the optimizer of that one.
        scaling: of the loss, where gradients of 16 bits need it.
        step: steps done.
        best_score: best validation so far.
        elapsed_s: seconds trained, over all resumes.
    """

    model: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    adversary: nn.Module | None = None
    adversary_optimizer: torch.optim.Optimizer | None = None
    scaling: _Scaling | None = None
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
    tensors: dict[str, Tensor] = {}
    for group, module in _modules(state).items():
        for name, tensor in module.state_dict().items():
            tensors[f"{group}.{name}"] = tensor
    for group, optimizer in _optimizers(state).items():
        for index, moments in optimizer.state_dict()["state"].items():
            for name, tensor in moments.items():
                tensors[f"{group}.{index}.{name}"] = tensor
    for name, number in (state.scaling.state_dict() if state.scaling else {}).items():
        tensors[f"scaling.{name}"] = torch.tensor(number, dtype=torch.float64)
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
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        group, _, rest = name.partition(".")
        groups.setdefault(group, {})[rest] = tensor
    for group, module in _modules(state).items():
        load_weights(module, groups.get(group, {}), path)
    try:
        for group, optimizer in _optimizers(state).items():
            _load_moments(optimizer, groups.get(group, {}))
        scales = groups.get("scaling")  # a run of another precision has none
        if state.scaling is not None and scales:
            _load_scales(state.scaling, scales)
        state.step = int(header["step"])
        best = header["best_score"]
        state.best_score = -math.inf if best is None else float(best)
        state.elapsed_s = float(header["elapsed_s"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} holds no complete training state: {error}") from error


def saved_progress(path: Path) -> tuple[int, float]:
    """Tell how far a run is.

    Args:
        path: its saved state.

    Returns:
        Steps done and seconds taken; 0 and 0 if there is no state.

    Raises:
        CheckpointError: the file is damaged.
    """
    if not path.is_file():
        return 0, 0.0
    try:
        header = read_tensors(path, _KIND).header
        return int(header["step"]), float(header["elapsed_s"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} holds no complete training state: {error}") from error


def _modules(state: TrainingState) -> dict[str, nn.Module]:
    """Name the parts with weights."""
    parts = {"model": state.model, "average": state.average, "adversary": state.adversary}
    return {name: module for name, module in parts.items() if module is not None}


def _optimizers(state: TrainingState) -> dict[str, torch.optim.Optimizer]:
    parts = {"optimizer": state.optimizer, "adversary_optimizer": state.adversary_optimizer}
    return {name: optimizer for name, optimizer in parts.items() if optimizer is not None}


def _load_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put moments, by parameter and name, back; one that has not stepped yet has none."""
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, moment = name.partition(".")
        moments.setdefault(int(index), {})[moment] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})


def _load_scales(scaling: _Scaling, tensors: dict[str, Tensor]) -> None:
    """Put numbers back, each of the kind that it is in a new state."""
    usual = scaling.state_dict()
    scaling.load_state_dict({name: type(usual[name])(tensors[name]) for name in usual})
