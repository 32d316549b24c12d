"""Bits of images that a prior has not seen, and how far its samples are from real ones."""

import argparse
import json
from pathlib import Path

from commands import run
from entries import Entry, run_name
from shards import BATCH, held_out

from loopyvq.checkpoint import load_prior, load_tokenizer_of, prior_source
from loopyvq.data.token_draws import split_rows
from loopyvq.data.token_shards import open_token_shards
from loopyvq.pretokenize import psnr_of_tokens
from loopyvq.training import PriorTrainingConfig
from loopyvq.training.prior_task import nats_of

__all__ = ["judge", "measure"]


def measure(
    arguments: argparse.Namespace, entry: Entry, shards_path: Path, seed: int
) -> dict[str, object]:
    """Measure bits of unseen images, and how well their tokens reconstruct them."""
    folder = arguments.out / "priors" / run_name(entry, seed)
    prior, source = load_prior(folder), prior_source(folder)
    shards = open_token_shards(shards_path)
    rows = split_rows(shards, PriorTrainingConfig().validation_share)[1][: arguments.images]
    found = nats_of(prior, shards.packed, source, 64, rows)
    tokenizer = load_tokenizer_of(folder)
    images = list(held_out(arguments, tokenizer.config.image_channels))
    tokens = [shards.packed.select(some).tokens for some in rows.split(BATCH)]
    pairs = list(zip(images, tokens, strict=False))  # --limit leaves some without tokens

    def psnr_db(*, pooled: bool) -> float:
        return psnr_of_tokens(tokenizer, pairs, source.threshold, pooled=pooled)

    return {
        "name": entry.name,
        "seed": seed,
        "tokens_per_site": found.num_tokens / found.num_sites,
        **found.values(),
        "psnr_db": psnr_db(pooled=False),
        "pooled_psnr_db": psnr_db(pooled=True),
        "threshold": source.threshold,
        "images": len(rows),
        "parameters": sum(item.numel() for item in prior.parameters()),
    }


def judge(arguments: argparse.Namespace, entry: Entry, seed: int) -> dict[str, float]:
    """Draw from one prior in several ways, and compare with real images."""
    found: dict[str, float] = {}
    features = arguments.out / "classifier.safetensors"
    for way in arguments.sampling:
        name = run_name(entry, seed)
        out = arguments.out / "generation" / name / (way or "all").replace(" ", "_")
        if not (out / "result.json").is_file():
            known = ("--features", features) if features.is_file() else ()
            run("evaluate", "generation", arguments.out / "priors" / name, "--data",
                arguments.data, "--count", arguments.count, "--batch", BATCH, "--out", out,
                "--seed", seed, *known, *way.split())  # fmt: skip
            if not known:
                (out / "classifier.safetensors").rename(features)
        rows = {
            row["what"]: row for row in json.loads((out / "result.json").read_text())["results"]
        }
        found["real_frechet"] = rows["other real images"]["frechet"]
        found["tokens_frechet"] = rows["reconstructions"]["frechet"]
        found[f"frechet {way}".strip()] = rows["samples"]["frechet"]
        found[f"class_share {way}".strip()] = rows["samples"]["class_share"]
    return found
