"""Runs that a demonstration wrote may be replaced by the next one; all others are kept."""

import json
from pathlib import Path

from loopyvq.data import ImageSet, Subset
from loopyvq.errors import ConfigError

__all__ = ["DemoImages", "remove_run", "require_own_run"]

_RUN = ("state.safetensors", "best.safetensors", "last.safetensors", "metrics.jsonl")
_HELD = (*_RUN, "model.safetensors", "prior.safetensors")


class DemoImages(Subset):
    """All images of a set, under a name by which a run on them is known to be a demonstration's.

    Args:
        images: the set.
    """

    def __init__(self, images: ImageSet) -> None:
        super().__init__(images, range(len(images)))


def require_own_run(folder: Path, data: str = DemoImages.__name__) -> None:
    """Check that a demonstration may take the place of what is there.

    Args:
        folder: of the run; it may be missing.
        data: what demonstrations train on there, as the config of a run names it.

    Raises:
        ConfigError: the folder holds a run or a model that no demonstration wrote.
    """
    if any((folder / name).exists() for name in _HELD) and _data_of(folder) != data:
        raise ConfigError(f"{folder} holds a run that no demo wrote: choose another folder")


def remove_run(folder: Path) -> None:
    """Remove a run, so that another one can begin.

    Args:
        folder: of the run; it may be missing.
    """
    for name in _RUN:
        (folder / name).unlink(missing_ok=True)


def _data_of(folder: Path) -> str:
    """Tell what a run was trained on; nothing where no one can tell."""
    try:
        return str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["data"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
