"""The folder of a run: who may begin in it, who may go on, and what it was begun with."""

from pathlib import Path
from typing import Any, TypeVar

from loopyvq.config import config_to_dict, parse_config
from loopyvq.data import ImageSet
from loopyvq.errors import TrainingError
from loopyvq.training.run_file import read_run, write_run

__all__ = ["claim_folder", "saved_config"]

TrainingT = TypeVar("TrainingT")


def claim_folder(
    folder: Path,
    config: Any,
    data: str | Path | ImageSet,
    resume: bool,
    found: str,
    *,
    what: str = "images",
) -> None:
    """Write the config of a new run, or check a run to resume.

    Args:
        folder: the run's folder.
        config: a config dataclass.
        data: what it is to train on.
        resume: whether a run must be there, or must not.
        found: what names the content of the data, see `fingerprint_of`.
        what: a word for the data.

    Raises:
        TrainingError: it is not as it must be, holds models without a run, was begun with other
            data, or the folder cannot be written.
    """
    if resume:
        if not (folder / "state.safetensors").is_file():
            raise TrainingError(f"there is no saved state in {folder} to resume")
        if (read_run(folder).get("images") or found) != found:
            raise TrainingError(
                f"the run in {folder} was begun with other {what} than {data} holds now: start "
                f"another one from its model (--start_from)"
            )
        return
    if (folder / "state.safetensors").is_file():
        raise TrainingError(f"{folder} holds a run already: resume it or choose another folder")
    _require_no_models(folder)
    source = type(data).__name__ if isinstance(data, ImageSet) else _absolute(data)
    values = {"data": source, "kind": type(config).__name__, "images": found}
    write_run(folder, values | {"config": config_to_dict(config)})


def saved_config(folder: str | Path, kind: type[TrainingT]) -> tuple[TrainingT, str]:
    """Read what a run was started with.

    Args:
        folder: the run's folder.
        kind: what was trained, by the class of its config.

    Returns:
        Its config and its data.

    Raises:
        TrainingError: there is no run in the folder, or one of another kind, or its config is not
            valid.
    """
    values = read_run(Path(folder))
    try:
        begun = values.get("kind", kind.__name__)
        if begun != kind.__name__:
            raise TrainingError(f"the run in {folder} is of another kind: {begun}")
        return parse_config(kind, values["config"]), str(values["data"])
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"the run in {folder} has no valid config: {error}") from error


def _require_no_models(folder: Path) -> None:
    """Refuse models that would be read in place of those of a new run, or behind them."""
    for name in ("best", "last", "model", "prior"):
        path = folder / f"{name}.safetensors"
        if path.exists():
            raise TrainingError(
                f"{path} is a model without a run to resume: remove it or choose another folder"
            )


def _absolute(data: str | Path) -> str:
    """Name the data so that a resume from another folder finds it, by the same links."""
    return str(data) if data == "samples" else str(Path(data).absolute())
