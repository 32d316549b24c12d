"""Train on some sample photographs, tokenize others, and gather what there is to show."""

import math
import time
from pathlib import Path

from loopyvq.checkpoint import load_tokenizer
from loopyvq.config import parse_config
from loopyvq.data import ImageSet, Subset, open_image_set
from loopyvq.demo.own_run import DemoImages, read_history, remove_run, require_own_run
from loopyvq.demo.result import DemoPhoto, DemoResult
from loopyvq.errors import ConfigError, DataError
from loopyvq.evaluation import (
    OperatingPoint,
    evaluate,
    evaluate_image,
    points_at_depths,
    points_at_lengths,
    points_at_thresholds,
)
from loopyvq.models import Tokenizer
from loopyvq.tensor_file import read_tensors
from loopyvq.training import TokenizerTrainingConfig, train_tokenizer

__all__ = ["DEMO_CONFIG", "HELD_OUT", "run_demo"]

HELD_OUT = ("chelsea", "coffee")
"""Sample photographs that the demonstration does not train on."""

# Tokens per site at the five thresholds that are shown, as shares of the largest depth.
_LENGTH_SHARES = (0.125, 0.1875, 0.3125, 0.5, 0.75)

# The sizes of configs/small.yaml, for a training that lasts as long as it may.
DEMO_CONFIG = {
    "tokenizer": {
        "channels": [48, 64],
        "encoder_blocks": 2,
        "decoder_blocks": 2,
        "quantizer": {"codebook_dim": 16},
    },
    "crop": {"size": 96, "min_scale": 0.35},
    "budget": {"low": 0.6, "high": 8.0},
    "rate_weight": 0.06,
    "loss": {"l1_weight": 1.0, "l2_weight": 4.0},
    "optim": {"learning_rate": 2e-3, "warmup_steps": 100},
    "run": {
        "steps": 20000,
        "batch_size": 16,
        "average_decay": 0.99,
        "log_every": 20,
        "validate_every": 20000,
        "save_every": 20000,
        "tensorboard": False,
    },
    "num_validation": 0,
}


def run_demo(folder: str | Path, *, seconds: float = 120.0, quiet: bool = False) -> DemoResult:
    """Run the demonstration.

    Args:
        folder: where the training run goes; an earlier demonstration there is replaced.
        seconds: how long to train.
        quiet: show no progress bar.

    Returns:
        Everything the report shows.

    Raises:
        ConfigError: ``seconds`` is out of range, or the folder holds a run that no demonstration
            wrote.
        DataError: the sample photographs are not installed.
    """
    if not 0 < seconds < math.inf:
        raise ConfigError(f"seconds must be above 0 and finite, got {seconds}")
    folder = Path(folder)
    training, shown = _divide(open_image_set("samples"))
    config = parse_config(
        TokenizerTrainingConfig, DEMO_CONFIG, ["--run.time_limit_s", str(seconds)]
    )
    require_own_run(folder)
    remove_run(folder)
    started = time.monotonic()
    model_file = train_tokenizer(config, DemoImages(training), folder, quiet=quiet)
    elapsed = time.monotonic() - started
    return _gather(config, model_file, training, shown, elapsed)


def _divide(images: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Separate the photographs that are shown from those that are trained on."""
    keys = [images.key(index) for index in range(len(images))]
    shown = [index for index, key in enumerate(keys) if Path(key).stem in HELD_OUT]
    if len(shown) != len(HELD_OUT):
        raise DataError(f"the sample photographs {', '.join(HELD_OUT)} are not installed")
    others = [index for index in range(len(images)) if index not in shown]
    return Subset(images, others), Subset(images, shown)


def _gather(
    config: TokenizerTrainingConfig,
    model_file: Path,
    training: ImageSet,
    shown: ImageSet,
    elapsed: float,
) -> DemoResult:
    """Tokenize the held-out photographs at every operating point."""
    tokenizer = load_tokenizer(model_file)
    points = _points(tokenizer)
    depths = points_at_depths(tokenizer, range(1, tokenizer.quantizer.max_depth + 1))
    photographs = [(Path(key).stem, image) for key, image in shown.images()]
    photos = [
        DemoPhoto(name, image, evaluate_image(tokenizer, name, image, points)[0])
        for name, image in photographs
    ]
    return DemoResult(
        photos=photos,
        points=evaluate(tokenizer, photographs, points).points,
        fixed_depth=evaluate(tokenizer, photographs, depths).points,
        config=tokenizer.config,
        num_parameters=sum(parameter.numel() for parameter in tokenizer.parameters()),
        steps=int(read_tensors(model_file, "tokenizer").header["notes"]["step"]),
        training_s=elapsed,
        history=read_history(model_file.parent),
        model_file=str(model_file),
        training_photos=[Path(training.key(index)).stem for index in range(len(training))],
        seed=config.run.seed,
    )


def _points(tokenizer: Tokenizer) -> list[OperatingPoint]:
    """Choose the thresholds, with two digits: the page shows exactly what was measured."""
    lengths = [share * tokenizer.quantizer.max_depth for share in _LENGTH_SHARES]
    found = points_at_lengths(tokenizer, lengths)
    return points_at_thresholds(tokenizer, [float(f"{point.threshold:.2g}") for point in found])
