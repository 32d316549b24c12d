"""From a config and a path of images to a trained tokenizer in a folder."""

import json
from pathlib import Path

import torch

from loopyvq.checkpoint import write_atomically
from loopyvq.config import config_to_dict, parse_config
from loopyvq.data import ImageSet, TrainingDraws, cached, open_image_set, split
from loopyvq.errors import CheckpointError, TrainingError
from loopyvq.models import Tokenizer
from loopyvq.training.loop import train
from loopyvq.training.tokenizer_task import TokenizerTask, TokenizerTrainingConfig

__all__ = ["saved_config", "train_tokenizer"]


def train_tokenizer(
    config: TokenizerTrainingConfig,
    data: str | Path | ImageSet,
    folder: str | Path,
    *,
    resume: bool = False,
    strict: bool = False,
    quiet: bool = False,
) -> Path:
    """Train a tokenizer on images.

    Args:
        config: all options.
        data: what `loopyvq.data.open_image_set` opens, or an image set.
        folder: where everything goes; it must hold no other run unless ``resume``.
        resume: continue the run that is in the folder.
        strict: stop at the first broken image instead of skipping it.
        quiet: show no progress bar.

    Returns:
        The path of the best model; without validation images, of the last.

    Raises:
        DataError: there are no usable images.
        TrainingError: the folder holds a run already, or none to resume; or a loss is not finite.
        CheckpointError: the state to resume is damaged.
    """
    folder, run = Path(folder), config.run
    _claim(folder, config, data, resume)
    images = data
    if not isinstance(images, ImageSet):
        images = open_image_set(images, channels=config.tokenizer.image_channels, strict=strict)
    training, validation = split(images, config.num_validation, run.seed)
    draws = TrainingDraws(
        cached(training, run.cache_mb << 20),
        config.crop,
        run.seed,
        num_draws=run.steps * run.batch_size,
    )
    torch.manual_seed(run.seed)
    task = TokenizerTask(
        config, Tokenizer(config.tokenizer), [image for _, image in validation.images()]
    )
    train(task, draws, run, config.optim, folder, resume=resume, quiet=quiet)
    return folder / ("best.safetensors" if config.num_validation else "last.safetensors")


def saved_config(folder: str | Path) -> tuple[TokenizerTrainingConfig, str]:
    """Read what a run was started with.

    Args:
        folder: the run's folder.

    Returns:
        Its config and its data.

    Raises:
        TrainingError: there is no run in the folder.
        ConfigError: its config is not valid.
    """
    path = Path(folder) / "config.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return parse_config(TokenizerTrainingConfig, values["config"]), str(values["data"])
    except OSError as error:
        raise TrainingError(f"there is no run to resume in {folder}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"the run in {folder} has no valid config: {error}") from error


def _claim(
    folder: Path, config: TokenizerTrainingConfig, data: str | Path | ImageSet, resume: bool
) -> None:
    """Write the config of a new run, or check that a run to resume is there."""
    if resume:
        if not (folder / "state.safetensors").is_file():
            raise TrainingError(f"there is no saved state in {folder} to resume")
        return
    if (folder / "state.safetensors").is_file():
        raise TrainingError(f"{folder} holds a run already: resume it or choose another folder")
    source = type(data).__name__ if isinstance(data, ImageSet) else _absolute(data)
    text = json.dumps({"config": config_to_dict(config), "data": source}, indent=2) + "\n"
    try:
        write_atomically(folder / "config.json", text.encode())
    except CheckpointError as error:
        raise TrainingError(str(error)) from error


def _absolute(data: str | Path) -> str:
    """Name the data so that a resume from another folder finds it."""
    return str(data) if data == "samples" else str(Path(data).resolve())
