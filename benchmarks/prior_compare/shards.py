"""Images to the tokens of a line: when sites have enough, and shards of them."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from commands import run
from entries import Entry, entries
from torch import Tensor

from loopyvq.checkpoint import load_tokenizer
from loopyvq.codec import load_tables
from loopyvq.data import open_image_set, to_float
from loopyvq.data.token_draws import is_held_out
from loopyvq.data.token_shards import holds_token_shards, read_plan
from loopyvq.models.prior.site_prior import SitePrior
from loopyvq.pretokenize import (
    StopRule,
    default_stop,
    psnr_of,
    stop_for_length,
    stop_for_psnr,
)
from loopyvq.training import PriorTrainingConfig

__all__ = ["BATCH", "held_out", "known_stop", "make_shards", "stop_of"]

BATCH = 250


def held_out(arguments: argparse.Namespace, channels: int) -> Iterator[Tensor]:
    """Read the images to measure on, which no prior is trained on, in batches."""
    images = open_image_set(arguments.data, channels=channels)
    share = PriorTrainingConfig().validation_share
    rows = is_held_out(torch.arange(len(images)), share).nonzero().flatten()[: arguments.images]
    for some in rows.split(BATCH):
        yield torch.stack([to_float(images.read(int(row))) for row in some])


def stop_of(
    arguments: argparse.Namespace, entry: Entry, prior: SitePrior | None = None
) -> StopRule:
    """Decide when sites have enough tokens, on the images to measure on."""
    if entry.depth:
        weighs = entry.in_context or prior is not None
        rule = StopRule(0.0, entry.depth, weigh=arguments.weigh if weighs else 0.0)
        return rule if prior is None else rule._replace(rule="prior")
    path = arguments.tokenizers / entry.tokenizer
    tokenizer = load_tokenizer(path)
    tokenizer.quantizer.stop = arguments.stop
    like, prices = default_stop(tokenizer), None
    images = list(held_out(arguments, tokenizer.config.image_channels))
    if prior is not None or entry.in_context:  # that takes long: on fewer of them
        rule = "in_context" if prior is None else "prior"
        like = like._replace(rule=rule, tune=entry.tune, effort=entry.effort)
        prices, images = load_tables(path) if prior is None else prior, images[:1]
    if entry.length:
        return stop_for_length(tokenizer, images, entry.length, like, prices)
    other = next(item for item in entries(arguments) if item.name == entry.like)
    theirs = load_tokenizer(arguments.tokenizers / other.tokenizer)
    theirs.quantizer.min_length = other.depth
    wanted = psnr_of(theirs, images, StopRule(0.0, other.depth), pooled=entry.pooled)
    return stop_for_psnr(tokenizer, images, wanted, like, prices, pooled=entry.pooled)


def make_shards(
    arguments: argparse.Namespace, entry: Entry, stop: StopRule, name: str, prior: Path | None
) -> Path:
    """Write the tokens of a line, or what of them is missing."""
    folder = arguments.out / "shards" / name
    if entry.depth:
        rule = ["--depth", stop.depth, "--weigh", stop.weigh]
    else:
        rule = ["--threshold", stop.threshold, "--stop", arguments.stop]
        looks = ["--effort", entry.effort] if entry.effort and stop.rule != arguments.stop else []
        rule += ["--in-context", "--tune", entry.tune] if entry.in_context else []
        rule += looks
    rule += ["--priced-by", prior] if prior else []
    if (entry.in_context or prior) and arguments.limit:
        rule += ["--limit", arguments.limit]
    run("pretokenize", arguments.tokenizers / entry.tokenizer, "--data", arguments.data, "--out",
        folder, "--condition", "class", *rule)  # fmt: skip
    return folder


def known_stop(shards: Path) -> StopRule | None:
    """Give the rule of shards that were begun already."""
    return StopRule.of(read_plan(shards).source) if holds_token_shards(shards) else None
