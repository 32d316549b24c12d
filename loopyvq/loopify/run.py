"""From a model and images to a loopified model in a folder, with a table of what that gave."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from loopyvq.checkpoint import load_tokenizer, save_tokenizer, tokenizer_file
from loopyvq.data import ImageSet, Subset, open_image_set, split, to_float
from loopyvq.errors import ConfigError, DataError
from loopyvq.interop.taming import refuse_run_folder
from loopyvq.loopify.finetune import finetune_decoder
from loopyvq.loopify.surgery import with_turns
from loopyvq.loopify.table import MEAN_LENGTHS, TableRow, measure, thresholds_at
from loopyvq.models import Tokenizer
from loopyvq.tensor_file import write_atomically
from loopyvq.tokens import LARGEST_DEPTH

__all__ = ["Loopified", "LoopifyConfig", "loopify_model"]

# Latents that gains and length curve are fitted to.
_SITES = 65_536


@dataclass(frozen=True)
class LoopifyConfig:
    """Options of the whole.

    Attributes:
        max_depth: most tokens per site.
        fit_images: images whose latents gains and length curve are fitted to, at most.
        test_images: images that are measured, at most; without test images of their own they are
            held out of the others.
        finetune_steps: optimizer steps of the decoder; 0 leaves it as it is.
        batch_size: images per such step.
        crop: side of the crops they see, in pixels.
        seed: of every choice.
    """

    max_depth: int = 8
    fit_images: int = 200
    test_images: int = 24
    finetune_steps: int = 0
    batch_size: int = 16
    crop: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        least = {"max_depth": 2, "fit_images": 1, "test_images": 1, "finetune_steps": 0, "seed": 0}
        for name, value in {**least, "batch_size": 1, "crop": 1}.items():
            if getattr(self, name) < value:
                raise ConfigError(f"{name} must be at least {value}, got {getattr(self, name)}")
        if self.max_depth > LARGEST_DEPTH:
            raise ConfigError(f"max_depth must be {LARGEST_DEPTH} at most, got {self.max_depth}")


class Loopified(NamedTuple):
    """What came out.

    Attributes:
        model: the file.
        rows: the table: one token before, and five mean lengths after.
        gains: of the turns.
        codes: sites of the test images.
        equal_codes: how many of them begin with the old code: all, or the model is wrong.
    """

    model: Path
    rows: list[TableRow]
    gains: list[float]
    codes: int
    equal_codes: int


def loopify_model(
    model: str | Path,
    data: str | Path | ImageSet,
    folder: str | Path,
    config: LoopifyConfig | None = None,
    *,
    test: str | Path | ImageSet | None = None,
    device: str | torch.device = "cpu",
    quiet: bool = True,
) -> Loopified:
    """Turn a tokenizer of one code per site into one of variable length.

    Args:
        model: a file or a folder, as for `load_tokenizer`.
        data: images to fit to: what `loopyvq.data.open_image_set` opens, or an image set.
        folder: gets ``model.safetensors`` and ``loopify.json``, and ``finetune`` with the record
            of the training if there is one.
        config: the options.
        test: images to measure; by default some of the others are held out.
        device: where to compute.
        quiet: show no progress bar.

    Returns:
        The table, and what it was made with.

    Raises:
        CheckpointError: the model cannot be read.
        ConfigError: it has more than one code per site, or the folder holds a run.
        DataError: there are no usable images.
    """
    config, folder = config or LoopifyConfig(), Path(folder)
    refuse_run_folder(folder)
    if (folder / "model.safetensors").resolve() == tokenizer_file(model).resolve():
        raise ConfigError(f"{folder} holds the model that is loopified: choose another folder")
    old = load_tokenizer(model, device)
    if old.config.label_maps:
        raise ConfigError(f"{model} takes label maps: loopify a model of images")
    images, tested = _open(data, test, config, old.config.image_channels)
    latents = _some_latents(old, images, config)
    new = with_turns(old, latents, config.max_depth, config.seed)
    equal, count = _compare_codes(old, new, tested)
    thresholds = thresholds_at(new, tested, _lengths(config.max_depth))
    rows = measure("before", old, tested, [old.config.quantizer.threshold])
    rows += measure("loopified", new, tested, thresholds)
    if config.finetune_steps:
        new = finetune_decoder(
            new,
            images,
            folder / "finetune",
            steps=config.finetune_steps,
            batch_size=config.batch_size,
            crop=config.crop,
            seed=config.seed,
            quiet=quiet,
        )
        rows += measure("fine-tuned", new, tested, thresholds)
    path = folder / "model.safetensors"
    save_tokenizer(path, new, loopified_from=Path(model).name)
    found = Loopified(path, rows, new.quantizer.gains().tolist(), count, equal)
    write_atomically(folder / "loopify.json", _as_json(found, model, data, test).encode())
    return found


def _open(
    data: str | Path | ImageSet,
    test: str | Path | ImageSet | None,
    config: LoopifyConfig,
    channels: int,
) -> tuple[ImageSet, ImageSet]:
    """Open the images to fit to and those to measure."""
    images = data if isinstance(data, ImageSet) else open_image_set(data, channels=channels)
    if test is None:
        held_out = min(config.test_images, len(images) // 4)
        if held_out == 0:
            raise DataError(f"{len(images)} images are too few to hold some out: give test images")
        return split(images, held_out, config.seed)
    tested = test if isinstance(test, ImageSet) else open_image_set(test, channels=channels)
    return images, Subset(tested, range(min(config.test_images, len(tested))))


@torch.no_grad()
def _some_latents(tokenizer: Tokenizer, images: ImageSet, config: LoopifyConfig) -> Tensor:
    """Encode some images and draw sites from all of them, in random order."""
    generator = torch.Generator().manual_seed(config.seed)
    order = torch.randperm(len(images), generator=generator)[: config.fit_images].tolist()
    share = -(-_SITES // len(order))
    device, found = tokenizer.quantizer.sigma.device, []
    for _, image in Subset(images, order).images():
        rows = tokenizer.latents(to_float(image).unsqueeze(0).to(device)).flatten(0, 2)
        found.append(rows[torch.randperm(len(rows), generator=generator)[:share].to(device)])
    if not found:
        raise DataError("there is no readable image to fit to")
    latents = torch.cat(found)
    return latents[torch.randperm(len(latents), generator=generator).to(device)]


def _compare_codes(old: Tokenizer, new: Tokenizer, images: ImageSet) -> tuple[int, int]:
    """Count the sites whose first code is the old one, and all sites."""
    equal, count = 0, 0
    for _, image in images.images():
        pixels = to_float(image).unsqueeze(0).to(old.quantizer.sigma.device)
        before, after = old.encode(pixels), new.encode(pixels)
        equal += int((before.codes[..., 0] == after.codes[..., 0]).sum())
        count += before.lengths.numel()
    return equal, count


def _lengths(max_depth: int) -> list[float]:
    return [length for length in MEAN_LENGTHS if length <= max_depth]


def _as_json(found: Loopified, model: object, data: object, test: object) -> str:
    values = {
        "model": str(model),
        "data": str(data),
        "test": None if test is None else str(test),
        "gains": found.gains,
        "sites": found.codes,
        "sites_that_begin_with_the_old_code": found.equal_codes,
        "rows": [row._asdict() for row in found.rows],
    }
    return json.dumps(values, indent=2) + "\n"
