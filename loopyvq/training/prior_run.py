"""From a config and shards, or images and a tokenizer, to a trained prior in a folder."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from loopyvq.checkpoint import load_tokenizer, prior_file, prior_source
from loopyvq.data import (
    ConditionedDraws,
    ConditionedImages,
    Subset,
    cached,
    open_conditioned_set,
)
from loopyvq.data.fingerprint import fingerprint_of
from loopyvq.data.token_batch import PackedTokens
from loopyvq.data.token_draws import TokenDraws, is_held_out, split_rows
from loopyvq.data.token_shards import holds_token_shards, open_token_shards
from loopyvq.data.token_source import TokenSource
from loopyvq.errors import ConfigError, DataError, TrainingError
from loopyvq.pretokenize import ImageTokens, Known, StopRule, default_stop
from loopyvq.pretokenize.image_tokens import path_hint
from loopyvq.pretrained import pretrained_file
from loopyvq.training.loop import train
from loopyvq.training.prior_config import PriorTrainingConfig, TokensFromImages
from loopyvq.training.prior_start import count_symbols, start_prior
from loopyvq.training.prior_task import HeldOut, PriorTask
from loopyvq.training.run_folder import claim_folder

__all__ = ["train_prior"]


class _Material(NamedTuple):
    """What a prior is trained on and judged by; tokens or images, named by their content."""

    source: TokenSource
    draws: Dataset[Any]
    held_out: HeldOut | None
    to_tokens: ImageTokens | None
    kind: str
    name: str
    counts: Tensor | None = None


def train_prior(
    config: PriorTrainingConfig,
    data: str | Path,
    folder: str | Path,
    *,
    resume: bool = False,
    strict: bool = False,
    quiet: bool = False,
) -> Path:
    """Train a prior on tokens.

    Args:
        config: all options.
        data: a folder of shards from `loopyvq pretokenize`, or images; these need
            ``config.images.tokenizer``.
        folder: where everything goes; it must hold no other run unless ``resume``.
        resume: continue the run that is in the folder.
        strict: stop at the first broken image instead of skipping it.
        quiet: show no progress bar.

    Returns:
        The path of the best model by validation; without validation, of the last.

    Raises:
        DataError: there are no usable shards or images.
        ConfigError: the data are images and there is no tokenizer, or no such prior can be.
        TrainingError: the folder holds a run already, or none to resume, or one of other tokens; or
            a loss is not finite.
        CheckpointError: the state to resume, the tokenizer or the prior to start from is damaged,
            or that prior is of other sizes.
    """
    folder, run = Path(folder), config.run
    config = _anchored(config)
    material = _material(config, data, folder, strict)
    if resume:
        _require_same_tokens(folder, material.source)
    claim_folder(folder, config, data, resume, material.name, what=material.kind)
    if resume:
        config = replace(config, start_from="")  # the state to go on with has all weights
    torch.manual_seed(run.seed)
    prior = start_prior(config, material.source, material.counts)
    task = PriorTask(config, prior, material.source, material.held_out, material.to_tokens)
    train(task, material.draws, run, config.optim, folder, resume=resume, quiet=quiet)
    return folder / ("best.safetensors" if material.held_out else "last.safetensors")


def _anchored(config: PriorTrainingConfig) -> PriorTrainingConfig:
    """Name the models so that a resume from another folder finds them."""

    def whole(path: str) -> str:
        shipped = not path or pretrained_file(path) is not None
        return path if shipped else str(Path(path).absolute())

    images = config.images
    known = replace(images.known, tokenizer=whole(images.known.tokenizer))
    images = replace(images, tokenizer=whole(images.tokenizer), known=known)
    return replace(config, images=images, start_from=whole(config.start_from))


def _require_same_tokens(folder: Path, source: TokenSource) -> None:
    """Refuse to go on with tokens that were made otherwise, wherever the models lie now."""
    if not prior_file(folder).is_file():
        return
    known = prior_source(folder)
    now = replace(source, tokenizer_path="", condition_path="")
    if known is not None and replace(known, tokenizer_path="", condition_path="") != now:
        raise TrainingError(
            f"the run in {folder} was begun with other tokens: these were made by another model, "
            f"at another threshold or with other options"
        )


def _material(
    config: PriorTrainingConfig, data: str | Path, folder: Path, strict: bool
) -> _Material:
    if holds_token_shards(data):
        if config.images != TokensFromImages():
            raise ConfigError(
                f"{data} holds tokens already: leave out the tokenizer and other options of images"
            )
        return _from_shards(config, Path(data), folder)
    if not config.images.tokenizer:
        raise ConfigError(
            f"{data} is no folder of shards (see loopyvq pretokenize); to train on images, name "
            f"the model that makes tokens of them with --tokenizer"
        )
    return _from_images(config, data, folder, strict)


def _from_shards(config: PriorTrainingConfig, data: Path, folder: Path) -> _Material:
    shards, run = open_token_shards(data), config.run
    training, validation = split_rows(shards, config.validation_share)
    draws = TokenDraws(shards, training, run.seed, run.steps * run.batch_size)
    held_out = None
    if len(validation):
        unseen = _some(validation, config.validation_images)
        seen = _some(training, len(unseen))
        held_out = HeldOut(_pick(shards.packed, unseen), _pick(shards.packed, seen))
    source = shards.source
    counts = count_symbols(shards.packed, training, source.codebook_size)
    return _Material(
        _moved(source, data, folder), draws, held_out, None, "tokens", shards.plan.digest, counts
    )


def _from_images(
    config: PriorTrainingConfig, data: str | Path, folder: Path, strict: bool
) -> _Material:
    options, run = config.images, config.run
    tokenizer = load_tokenizer(options.tokenizer)
    told = options.known.data
    images = open_conditioned_set(
        data, told, channels=tokenizer.config.image_channels, strict=strict
    )
    known = Known.load(options.known, tokenizer)
    to_tokens = ImageTokens(tokenizer, _stop(options, default_stop(tokenizer)), known)
    is_unseen = is_held_out(torch.arange(len(images)), config.validation_share)
    if bool(is_unseen.all()):
        raise DataError(
            f"validation_share {config.validation_share} holds out all of {len(images)} images: "
            f"choose a smaller one"
        )
    seen, unseen = (rows.nonzero().flatten() for rows in (~is_unseen, is_unseen))
    training = Subset(images, seen.tolist())
    held_out, counts = None, None
    count = len(_some(unseen, config.validation_images))
    if count:
        size, batch = options.crop.size, run.batch_size
        parts = [
            _encode(
                to_tokens,
                ConditionedImages(Subset(images, _some_first(rows, count)), size, told),
                batch,
                count,
                what,
            )
            for rows, what in ((unseen, "held out for validation"), (seen, "to train on"))
        ]
        held_out = HeldOut(*parts)
        everything = torch.arange(held_out.training.num_images)
        codebook_size = tokenizer.quantizer.codebook_size
        counts = count_symbols(held_out.training, everything, codebook_size)
    draws = ConditionedDraws(
        cached(training, run.cache_mb << 20),
        options.crop,
        told,
        run.seed,
        num_draws=run.steps * run.batch_size,
    )
    source = to_tokens.source(images, options.crop.size, options.tokenizer, folder)
    return _Material(source, draws, held_out, to_tokens, "images", fingerprint_of(images), counts)


def _stop(options: TokensFromImages, usual: StopRule) -> StopRule:
    if options.depth:
        return StopRule(0.0, options.depth)
    return usual if options.threshold < 0 else usual._replace(threshold=options.threshold)


def _some(rows: Tensor, most: int) -> Tensor:
    """Take some rows from all parts."""
    step = -(-len(rows) // max(1, most))
    return rows[:: max(1, step)]


def _some_first(rows: Tensor, most: int) -> list[int]:
    """Give all rows, at first some from all parts; others stand in for images that are broken."""
    some = _some(rows, most).tolist()
    return some + sorted(set(rows.tolist()) - set(some))


def _pick(packed: PackedTokens, rows: Tensor) -> PackedTokens:
    return PackedTokens.pack(*packed.select(rows))


def _encode(
    to_tokens: ImageTokens, images: ConditionedImages, batch_size: int, most: int, what: str
) -> PackedTokens:
    """Encode the first readable images of a set, so many at most; a word is for the message."""
    batches = images.batches(batch_size, most)
    packs = [PackedTokens.pack(*to_tokens(sample)) for _, sample in batches]
    if not packs:
        raise DataError(f"none of the images {what} can be read")
    return PackedTokens.join(packs)


def _moved(source: TokenSource, data: Path, folder: Path) -> TokenSource:
    """Let the hints start from the folder of the run."""
    first, second = (
        path_hint(data / hint, folder) if hint else ""
        for hint in (source.tokenizer_path, source.condition_path)
    )
    return replace(source, tokenizer_path=first, condition_path=second)
