"""What a run was started with, as ``config.json`` in its folder."""

import json
from pathlib import Path
from typing import Any

from loopyvq.config import config_to_dict
from loopyvq.errors import CheckpointError, TrainingError
from loopyvq.tensor_file import write_atomically
from loopyvq.training.run_config import RunConfig

__all__ = ["read_run", "save_length", "write_run"]


def read_run(folder: Path) -> dict[str, Any]:
    """Read what a run was started with, as it is written.

    Args:
        folder: the run's folder.

    Returns:
        The values, a mapping ``config`` among them.

    Raises:
        TrainingError: there is no run, or its file is damaged.
    """
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise TrainingError(f"there is no run to resume in {folder}") from error
    except (OSError, ValueError) as error:
        raise TrainingError(f"the run in {folder} has no valid config: {error}") from error
    if not isinstance(values, dict) or not isinstance(values.get("config"), dict):
        raise TrainingError(f"the run in {folder} has no valid config: it is no mapping")
    return values


def write_run(folder: Path, values: dict[str, Any]) -> None:
    """Write what a run is started with.

    Args:
        folder: the run's folder.
        values: as of `read_run`.

    Raises:
        TrainingError: the folder cannot be written.
    """
    try:
        write_atomically(folder / "config.json", (json.dumps(values, indent=2) + "\n").encode())
    except CheckpointError as error:
        raise TrainingError(str(error)) from error


def save_length(folder: Path, run: RunConfig) -> None:
    """Write how long a run that goes on is to be, and how it is watched.

    Args:
        folder: the run's folder; a run without config, which only Python can start, has none.
        run: what it goes on with.

    Raises:
        TrainingError: the file is damaged, or the folder cannot be written.
    """
    if not (folder / "config.json").is_file():
        return
    values, now = read_run(folder), config_to_dict(run)
    if values["config"].get("run") != json.loads(json.dumps(now)):
        write_run(folder, values | {"config": {**values["config"], "run": now}})
