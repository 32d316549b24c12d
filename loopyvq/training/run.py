"""From a config and a path of images to a trained tokenizer in a folder."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from loopyvq.checkpoint import write_atomically
from loopyvq.config import config_to_dict, parse_config
from loopyvq.data import (
    ImageSet,
    LabelDraws,
    TrainingDraws,
    cached,
    open_depth_maps,
    open_image_set,
    open_label_maps,
    split,
)
from loopyvq.errors import CheckpointError, ConfigError, TrainingError
from loopyvq.training.loop import train
from loopyvq.training.segmentation_config import SegmentationTrainingConfig
from loopyvq.training.segmentation_task import SegmentationTask
from loopyvq.training.start import start_tokenizer
from loopyvq.training.tokenizer_task import TokenizerTask, TokenizerTrainingConfig
from loopyvq.training.vqgan_config import VqganTrainingConfig
from loopyvq.training.vqgan_task import VqganTask

__all__ = [
    "claim_folder",
    "save_config",
    "saved_config",
    "train_segmentation",
    "train_tokenizer",
    "train_vqgan",
]

TrainingT = TypeVar("TrainingT")


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
    draws, held_out = _images(config, data, config.tokenizer.image_channels, strict)
    claim_folder(folder, config, data, resume)
    torch.manual_seed(run.seed)
    tokenizer = start_tokenizer(config.tokenizer, _start(config, resume))
    task = TokenizerTask(config, tokenizer, held_out)
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
    task = VqganTask(config, start_tokenizer(config.networks, _start(config, resume)), [])
    draws, task.validation = _images(config, data, config.networks.image_channels, strict)
    claim_folder(folder, config, data, resume)  # last: images or weights may be missing
    optim, task.adversary_optim = config.optim, config.discriminator_optim
    if config.rate_per_image > 0:
        rate = config.rate_per_image * run.batch_size
        optim = replace(optim, learning_rate=rate)
        task.adversary_optim = replace(task.adversary_optim, learning_rate=rate)
    train(task, draws, run, optim, folder, resume=resume, quiet=quiet)
    return folder / ("best.safetensors" if config.num_validation else "last.safetensors")


def train_segmentation(
    config: SegmentationTrainingConfig,
    data: str | Path | ImageSet,
    folder: str | Path,
    *,
    resume: bool = False,
    strict: bool = False,
    quiet: bool = False,
) -> Path:
    """Train a tokenizer on label maps.

    Args:
        config: all options.
        data: label maps, as for `train_tokenizer`, like all that follows; an image set has one
            plane of labels.
        folder: where everything goes.
        resume: continue the run that is in the folder.
        strict: stop at the first broken label map instead of skipping it.
        quiet: show no progress bar.

    Returns:
        The path of the best model; without validation maps, of the last.

    Raises:
        DataError: there are no usable label maps.
        ConfigError: the palette cannot be read.
        TrainingError: as of `train_tokenizer`.
        CheckpointError: the state to resume is damaged.
    """
    folder, run, maps = Path(folder), config.run, data
    if not isinstance(maps, ImageSet):
        maps = open_label_maps(maps, config.labels, config.half, strict=strict)
    training, held_out = _divide(config, maps)
    claim_folder(folder, config, data, resume)
    draws = LabelDraws(training, config.crop, run.seed, num_draws=run.steps * run.batch_size)
    torch.manual_seed(run.seed)
    tokenizer = start_tokenizer(config.networks, _start(config, resume))
    task = SegmentationTask(config, tokenizer, held_out)
    optim = config.optim
    if config.rate_per_image > 0:
        optim = replace(optim, learning_rate=config.rate_per_image * run.batch_size)
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


def _start(config: TokenizerTrainingConfig, resume: bool) -> str:
    """Say whose weights come first; the state of a run to go on with has all of its own."""
    return "" if resume else config.start_from


def _images(
    config: TokenizerTrainingConfig, data: str | Path | ImageSet, channels: int, strict: bool
) -> tuple[TrainingDraws, list[Tensor]]:
    """Open the images: draws to train on, and those that are held out."""
    images, run = data, config.run
    if config.content == "depth" and channels != 1:
        raise ConfigError(f"depth maps have one channel, but image_channels is {channels}")
    if not isinstance(images, ImageSet):
        is_depth = config.content == "depth"
        images = (
            open_depth_maps(images, strict=strict)
            if is_depth
            else open_image_set(images, channels=channels, strict=strict)
        )
    training, held_out = _divide(config, images)
    draws = TrainingDraws(training, config.crop, run.seed, num_draws=run.steps * run.batch_size)
    return draws, held_out


def _divide(config: TokenizerTrainingConfig, images: ImageSet) -> tuple[ImageSet, list[Tensor]]:
    """Divide a set into what is trained on and what is held out."""
    training, validation = split(images, config.num_validation, config.run.seed)
    held_out = [image for _, image in validation.images()]
    return cached(training, config.run.cache_mb << 20), held_out


def claim_folder(folder: Path, config: Any, data: str | Path | ImageSet, resume: bool) -> None:
    """Write the config of a new run, or check that a run to resume is there.

    Args:
        folder: the run's folder.
        config: a config dataclass.
        data: what it is to train on.
        resume: whether a run must be there, or must not.

    Raises:
        TrainingError: it is not as it must be, or the folder cannot be written.
    """
    if resume:
        if not (folder / "state.safetensors").is_file():
            raise TrainingError(f"there is no saved state in {folder} to resume")
        return
    if (folder / "state.safetensors").is_file():
        raise TrainingError(f"{folder} holds a run already: resume it or choose another folder")
    save_config(folder, config, data)


def save_config(folder: Path, config: Any, data: str | Path | ImageSet) -> None:
    """Write what a run is started with, in place of what is there.

    Args:
        folder: the run's folder.
        config: a config dataclass.
        data: what it trains on.

    Raises:
        TrainingError: the folder cannot be written.
    """
    source = type(data).__name__ if isinstance(data, ImageSet) else _absolute(data)
    text = json.dumps({"config": config_to_dict(config), "data": source}, indent=2) + "\n"
    try:
        write_atomically(folder / "config.json", text.encode())
    except CheckpointError as error:
        raise TrainingError(str(error)) from error


def _absolute(data: str | Path) -> str:
    """Name the data so that a resume from another folder finds it."""
    return str(data) if data == "samples" else str(Path(data).resolve())
