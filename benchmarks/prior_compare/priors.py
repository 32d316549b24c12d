"""Train the prior of a line for its share of processor time."""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from entries import Entry, run_name
from shards import known_stop, make_shards, stop_of

from loopyvq.checkpoint import load_prior
from loopyvq.config import parse_config, read_yaml
from loopyvq.tensor_file import read_tensors
from loopyvq.training import PriorTrainingConfig, loop, train_prior

__all__ = ["taught"]


def taught(arguments: argparse.Namespace, entry: Entry, seed: int) -> tuple[Path, dict[str, float]]:
    """Train the prior of a line, and where it prices tokens itself, let it choose them in between.

    Returns:
        The tokens it learned last, what it took and how many steps it made.
    """
    name, spent, before = run_name(entry, seed), dict[str, float](), None
    for turn in range(entry.priced + 1):
        last = turn == entry.priced
        shards = arguments.out / "shards" / (f"{name}_{turn}" if entry.priced else entry.name)
        prior = load_prior(before) if before else None
        stop = known_stop(shards) or stop_of(arguments, entry, prior)
        make_shards(arguments, entry, stop, shards.name, before)
        folder = arguments.out / "priors" / (name if last else f"{name}_{turn}")
        here = _train(arguments, shards, folder, seed, before, 1 / (entry.priced + 1))
        spent = {key: value + spent.get(key, 0.0) for key, value in here.items()}
        before = folder
    return shards, spent


def _train(
    arguments: argparse.Namespace,
    shards: Path,
    folder: Path,
    seed: int,
    start: Path | None,
    share: float,
) -> dict[str, float]:
    """Train one prior; the clock of the loop is that of this process, not of the machine."""
    options = [*arguments.options, "--run.seed", str(seed)]
    if start:  # it has learned how far a step may go
        options += ["--start_from", str(start), "--optim.warmup_steps", "20"]
    config = parse_config(PriorTrainingConfig, read_yaml(arguments.prior), options)
    seconds, steps = share * arguments.seconds, 100_000
    if arguments.steps:
        seconds, steps = 0.0, max(1, round(share * arguments.steps))
    limits = replace(
        config.run, time_limit_s=seconds, steps=steps, tensorboard=False,
        accelerator=arguments.accelerator, precision=arguments.precision,
    )  # fmt: skip
    clock = time.process_time if arguments.accelerator == "cpu" else time.monotonic
    loop.time = SimpleNamespace(monotonic=clock)
    resume = (folder / "state.safetensors").is_file()
    train_prior(replace(config, run=limits), shards, folder, resume=resume, quiet=True)
    header = read_tensors(folder / "state.safetensors", "training state").header
    return {"seconds": header["elapsed_s"], "steps": header["step"]}
