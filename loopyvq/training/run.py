"""From a config and a path of images to a trained tokenizer in a folder."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from loopyvq.checkpoint import write_atomically
from loopyvq.config import config_to_dict, parse_config
from loopyvq.data import ImageSet, TrainingDraws, cached, open_image_set, split
from loopyvq.errors import CheckpointError, TrainingError
from loopyvq.models import Tokenizer
from loopyvq.training.loop import train
from loopyvq.training.tokenizer_task import TokenizerTask, TokenizerTrainingConfig
from loopyvq.training.vqgan_config import VqganTrainingConfig
from loopyvq.training.vqgan_task import VqganTask

__all__ = ["saved_config", "train_tokenizer", "train_vqgan"]

TrainingT = TypeVar("TrainingT", bound=TokenizerTrainingConfig)


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
    draws, held_out = _images(config, data, config.tokenizer.image_channels, strict)
    torch.manual_seed(run.seed)
    task = TokenizerTask(config, Tokenizer(config.tokenizer), held_out)
    train(task, draws, run, config.optim, folder, resume=resume, quiet=quiet)
    return folder / ("best.safetensors" if config.num_validation else "last.safetensors")


def train_vqgan(
    config: VqganTrainingConfig,
    data: str | Path | ImageSet,
    folder: str | Path,
    *,
    resume: bool = False,
    strict: bool = False,
    quiet: bool = False,
) -> Path:
    """Train a tokenizer on images, against a discriminator.

    Args:
        config: all options.
        data: as for `train_tokenizer`, like all that follows.
        folder: where everything goes.
        resume: continue the run that is in the folder.
        strict: stop at the first broken image instead of skipping it.
        quiet: show no progress bar.

    Returns:
        The path of the latest model: no score tells which is the best.

    Raises:
        DataError: there are no usable images.
        TrainingError: as of `train_tokenizer`.
        CheckpointError: the state to resume is damaged, or weights of LPIPS are asked for and not
            there.
        ConfigError: the run is to be in 16-mixed.
    """
    folder, run = Path(folder), config.run
    torch.manual_seed(run.seed)
    tokenizer = Tokenizer(config.networks)
    task = VqganTask(config, tokenizer, [])  # before the folder is claimed: it may lack weights
    _claim(folder, config, data, resume)
    draws, task.validation = _images(config, data, config.networks.image_channels, strict)
    optim, task.adversary_optim = config.optim, config.discriminator_optim
    if config.rate_per_image > 0:
        rate = config.rate_per_image * run.batch_size
        optim = replace(optim, learning_rate=rate)
        task.adversary_optim = replace(task.adversary_optim, learning_rate=rate)
    train(task, draws, run, optim, folder, resume=resume, quiet=quiet)
    return folder / ("best.safetensors" if config.num_validation else "last.safetensors")


def saved_config(
    folder: str | Path,
    kind: type[TrainingT] = TokenizerTrainingConfig,  # type: ignore[assignment]
) -> tuple[TrainingT, str]:
    """Read what a run was started with.

    Args:
        folder: the run's folder.
        kind: what was trained, by the class of its config.

    Returns:
        Its config and its data.

    Raises:
        TrainingError: there is no run in the folder.
        ConfigError: its config is not valid.
    """
    path = Path(folder) / "config.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return parse_config(kind, values["config"]), str(values["data"])
    except OSError as error:
        raise TrainingError(f"there is no run to resume in {folder}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"the run in {folder} has no valid config: {error}") from error


def _images(
    config: TokenizerTrainingConfig, data: str | Path | ImageSet, channels: int, strict: bool
) -> tuple[TrainingDraws, list[Tensor]]:
    """Open the images: draws to train on, and those that are held out."""
    images, run = data, config.run
    if not isinstance(images, ImageSet):
        images = open_image_set(images, channels=channels, strict=strict)
    training, validation = split(images, config.num_validation, run.seed)
    draws = TrainingDraws(
        cached(training, run.cache_mb << 20),
        config.crop,
        run.seed,
        num_draws=run.steps * run.batch_size,
    )
    return draws, [image for _, image in validation.images()]


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
