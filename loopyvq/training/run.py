"""From a config and a path of images to a trained tokenizer in a folder."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

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
from loopyvq.data.fingerprint import fingerprint_of
from loopyvq.data.transforms import middle_of
from loopyvq.errors import ConfigError, DataError
from loopyvq.training.loop import train
from loopyvq.training.optim import OptimConfig
from loopyvq.training.run_folder import claim_folder
from loopyvq.training.segmentation_config import SegmentationTrainingConfig
from loopyvq.training.segmentation_task import SegmentationTask
from loopyvq.training.start import start_tokenizer
from loopyvq.training.tokenizer_task import TokenizerTask, TokenizerTrainingConfig
from loopyvq.training.vqgan_config import VqganTrainingConfig
from loopyvq.training.vqgan_task import VqganTask

__all__ = ["train_segmentation", "train_tokenizer", "train_vqgan"]

_LARGEST_SIDE = 1024  # of held-out images, in pixels


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
    claim_folder(folder, config, data, resume, fingerprint_of(draws.image_set))
    torch.manual_seed(run.seed)
    tokenizer = start_tokenizer(config.tokenizer, _start(config, resume))
    task = TokenizerTask(config, tokenizer, held_out)
    train(task, draws, run, config.optim, folder, resume=resume, quiet=quiet)
    return _result(folder, config)


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
    tokenizer = start_tokenizer(config.networks, _start(config, resume))
    weights = "" if resume else config.discriminator_weights
    task = VqganTask(replace(config, discriminator_weights=weights), tokenizer, [])
    draws, task.validation = _images(config, data, config.networks.image_channels, strict)
    # Last: images or weights may be missing.
    weights = _anchored(config.perceptual.weights)
    config = replace(config, perceptual=replace(config.perceptual, weights=weights))
    claim_folder(folder, config, data, resume, fingerprint_of(draws.image_set))
    task.adversary_optim = _scaled(config.discriminator_optim, config)
    train(task, draws, run, _scaled(config.optim, config), folder, resume=resume, quiet=quiet)
    return _result(folder, config)


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
    palette = _anchored(config.labels.palette)
    config = replace(config, labels=replace(config.labels, palette=palette))
    claim_folder(folder, config, data, resume, fingerprint_of(training))
    draws = LabelDraws(training, config.crop, run.seed, num_draws=run.steps * run.batch_size)
    torch.manual_seed(run.seed)
    tokenizer = start_tokenizer(config.networks, _start(config, resume))
    task = SegmentationTask(config, tokenizer, held_out)
    train(task, draws, run, _scaled(config.optim, config), folder, resume=resume, quiet=quiet)
    return _result(folder, config)


def _result(folder: Path, config: TokenizerTrainingConfig) -> Path:
    return folder / ("best.safetensors" if config.num_validation else "last.safetensors")


def _scaled(
    optim: OptimConfig, config: VqganTrainingConfig | SegmentationTrainingConfig
) -> OptimConfig:
    """Let the learning rate follow from the batch size, if that is asked for."""
    if config.rate_per_image == 0:
        return optim
    return replace(optim, learning_rate=config.rate_per_image * config.run.batch_size)


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
    if isinstance(images, str | Path) and config.content == "depth":
        images = open_depth_maps(images, strict=strict)
    elif isinstance(images, str | Path):
        images = open_image_set(images, channels=channels, strict=strict)
    training, held_out = _divide(config, images)
    draws = TrainingDraws(training, config.crop, run.seed, num_draws=run.steps * run.batch_size)
    return draws, held_out


def _divide(config: TokenizerTrainingConfig, images: ImageSet) -> tuple[ImageSet, list[Tensor]]:
    """Divide a set into what is trained on and what is held out, of large images the middle."""
    training, validation = split(images, config.num_validation, config.run.seed)
    # A validation paints them whole.
    held_out = [middle_of(image, _LARGEST_SIDE).clone() for _, image in validation.images()]
    if config.num_validation and not held_out:
        raise DataError(
            f"none of the {config.num_validation} images held out for validation can be read"
        )
    return cached(training, config.run.cache_mb << 20), held_out


def _anchored(path: str) -> str:
    """Name a file so that a resume from another folder finds it; a name of ours stays."""
    return str(Path(path).absolute()) if path and Path(path).exists() else path
