"""Runs of demonstrations: what they measured, and which of them the next one may replace."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

from loopyvq.data import ImageSet, Subset
from loopyvq.errors import ConfigError

__all__ = [
    "DemoImages",
    "holds_run",
    "measurements",
    "read_history",
    "remove_run",
    "require_own_run",
]

_RUN = ("state.safetensors", "best.safetensors", "last.safetensors", "metrics.jsonl")
_OTHERS = ("model.safetensors", "prior.safetensors")  # which no run writes


class DemoImages(Subset):
    """All images of a set, under a name by which a run on them is known to be a demonstration's.

    Args:
        images: the set.
    """

    def __init__(self, images: ImageSet) -> None:
        super().__init__(images, range(len(images)))


def holds_run(folder: Path) -> bool:
    """Tell whether a folder has a file of a run.

    Args:
        folder: it may be missing.

    Returns:
        Whether there is one.
    """
    return any((folder / name).exists() for name in _RUN)


def require_own_run(folder: Path, tokens: str | None = None) -> None:
    """Check that a demonstration may take the place of what is there.

    Args:
        folder: of the run; it may be missing.
        tokens: what the folder of tokens is called that a prior was trained on, wherever it lies
            now; by default a demonstration's images.

    Raises:
        ConfigError: the folder holds a run or a model that no demonstration wrote.
    """
    data = _data_of(folder)
    is_own = data == DemoImages.__name__ if tokens is None else Path(data).name == tokens
    is_other = any((folder / name).exists() for name in _OTHERS)
    if is_other or (holds_run(folder) and not is_own):
        raise ConfigError(
            f"{folder} holds a run that no demo of this version wrote: remove it or choose "
            f"another folder"
        )


def remove_run(folder: Path) -> None:
    """Remove a run, so that another one can begin.

    Args:
        folder: of the run; it may be missing.
    """
    for name in _RUN:
        (folder / name).unlink(missing_ok=True)


def read_history(folder: Path) -> list[dict[str, object]]:
    """Read what a run measured.

    Args:
        folder: of the run.

    Returns:
        The lines of its ``metrics.jsonl``, one mapping each.
    """
    lines = (folder / "metrics.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def measurements(history: Sequence[dict[str, object]], name: str) -> list[tuple[float, float]]:
    """Give the course of one measurement of a run.

    Args:
        history: as `read_history` gives it.
        name: of the measurement.

    Returns:
        Steps and finite values; what is missing or not finite is left out.
    """
    return [
        (float(step), float(value))
        for step, value in ((line.get("step"), line.get(name)) for line in history)
        if isinstance(step, int | float) and isinstance(value, int | float)
        if math.isfinite(value)
    ]


def _data_of(folder: Path) -> str:
    """Tell what a run was trained on; nothing where no one can tell."""
    try:
        return str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["data"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
