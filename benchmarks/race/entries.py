"""What takes part: a config, trained with a seed, with tables fitted for how it will be read."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loopyvq.checkpoint import load_tokenizer
from loopyvq.codec import fit_tables_to_images, load_tables, save_tables
from loopyvq.config import parse_config, read_yaml
from loopyvq.data import Subset, open_image_set
from loopyvq.tensor_file import write_atomically
from loopyvq.training import TokenizerTrainingConfig, train_tokenizer
from loopyvq.training.run_folder import saved_config

__all__ = ["Entry", "fitted", "trained"]


@dataclass(frozen=True)
class Entry:
    """A config that takes part.

    Attributes:
        name: of its curves.
        config: a YAML file for `loopyvq train tokenizer`.
        words: options on top of it, the same for all entries.
    """

    name: str
    config: Path
    words: tuple[str, ...] = ()

    def parsed(self, seed: int) -> TokenizerTrainingConfig:
        """Give the whole config of a run."""
        words = [*self.words, "--run.seed", str(seed)]
        return parse_config(TokenizerTrainingConfig, read_yaml(self.config), words)


def trained(entry: Entry, seed: int, data: str, out: Path) -> Path:
    """Train an entry, resume what was interrupted, or take what is there.

    Args:
        entry: what to train.
        seed: of weights, images and draws.
        data: training images.
        out: folder of all runs.

    Returns:
        The run's folder.
    """
    folder = out / f"{entry.name.replace(' ', '_')}-{seed}"
    done = folder / "cpu_s.json"
    if done.is_file():
        return folder
    config, resume = entry.parsed(seed), (folder / "state.safetensors").is_file()
    if resume:
        config, data = saved_config(folder, TokenizerTrainingConfig)
    started, cpu = time.monotonic(), time.process_time()
    train_tokenizer(config, data, folder, resume=resume)
    spent = {"elapsed_s": time.monotonic() - started, "cpu_s": time.process_time() - cpu}
    write_atomically(done, json.dumps(spent).encode())
    return folder


def fitted(folder: Path, data: str, limit: int) -> bool:
    """Fit tables to a trained entry, unless it has them.

    Args:
        folder: of the run.
        data: training images.
        limit: how many of them to use.

    Returns:
        Whether the model is of fixed depth.
    """
    tokenizer = load_tokenizer(folder)
    if load_tables(folder) is None:
        images = open_image_set(data, channels=tokenizer.config.image_channels)
        order = np.random.default_rng(0).permutation(len(images))[:limit]
        some = Subset(images, sorted(order.tolist()))
        save_tables(folder, fit_tables_to_images(tokenizer, (image for _, image in some.images())))
    return tokenizer.config.quantizer.threshold == 0
