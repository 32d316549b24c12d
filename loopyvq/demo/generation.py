"""Train a tokenizer and a prior in minutes, and draw images with them.

images --tokenizer--> tokens --prior--> new tokens --tokenizer--> new images
"""

import math
import time
from pathlib import Path

import torch
from torch import Tensor

from loopyvq.checkpoint import load_tokenizer
from loopyvq.config import parse_config
from loopyvq.data import ConditionDataConfig, to_float
from loopyvq.data.token_shards import ShardPlan, open_token_shards
from loopyvq.demo.drawn import Completion, GenerationDemo
from loopyvq.demo.material import Material, gather_material
from loopyvq.demo.own_run import (
    DemoImages,
    holds_run,
    read_history,
    remove_run,
    require_own_run,
)
from loopyvq.errors import ConfigError
from loopyvq.generation import (
    Film,
    ImagePrior,
    classes_in_turn,
    draw_in_batches,
    encode_like,
    mask_of_region,
    open_image_prior,
    paint,
)
from loopyvq.models.prior.base import Request
from loopyvq.models.prior.sampling import SamplingConfig
from loopyvq.pretokenize import ImageTokens, Known, KnownConfig, pretokenize, stop_for_length
from loopyvq.tokens import Tokens
from loopyvq.training import (
    PriorTrainingConfig,
    TokenizerTrainingConfig,
    train_prior,
    train_tokenizer,
)

__all__ = ["PRIOR_CONFIG", "TOKENIZER_CONFIG", "run_generation"]

_TOKENIZER_SHARE = 0.4  # of the time; the prior gets the rest
_MEAN_LENGTH = 2.0
_SAMPLES, _COMPLETIONS, _TIMES = 40, 5, 3
_SAMPLING = SamplingConfig(top_p=0.95)

# One level less for small images: 4 pixels per site instead of 8.
TOKENIZER_CONFIG = {
    "tokenizer": {
        "encoder_blocks": 1,
        "decoder_blocks": 2,
        "quantizer": {"codebook_size": 256, "codebook_dim": 12},
    },
    "crop": {"min_scale": 1.0},
    "budget": {"low": 0.6, "high": 6.0},
    "rate_weight": 0.06,
    "loss": {"l1_weight": 1.0, "l2_weight": 4.0},
    "optim": {"learning_rate": 2e-3, "warmup_steps": 100},
    "run": {
        "steps": 20000,
        "batch_size": 32,
        "average_decay": 0.99,
        "validate_every": 20000,
        "save_every": 20000,
        "tensorboard": False,
    },
    "num_validation": 0,
}
PRIOR_CONFIG = {
    "site": {
        "transformer": {"width": 128, "layers": 3, "heads": 4},
        "depth": {"width": 64, "layers": 1, "heads": 4},
    },
    "optim": {
        "learning_rate": 3e-3,
        "warmup_steps": 50,
        "weight_decay": 0.05,
        "betas": [0.9, 0.95],
    },
    "run": {
        "steps": 20000,
        "batch_size": 64,
        "average_decay": 0.99,
        "validate_every": 200,
        "save_every": 20000,
        "tensorboard": False,
    },
    "validation_images": 256,
}


def run_generation(
    folder: str | Path,
    data: str | Path = "samples",
    *,
    seconds: float = 270.0,
    quiet: bool = False,
) -> GenerationDemo:
    """Run the demonstration.

    Args:
        folder: where the runs go; an earlier demonstration there is replaced.
        data: images, as `loopyvq.data.open_image_set` opens them; of large ones crops are learned.
        seconds: how long to train both models together.
        quiet: show no progress bars.

    Returns:
        Everything the page shows.

    Raises:
        ConfigError: ``seconds`` is out of range, or the folder holds a run that no demonstration
            wrote.
        DataError: the images cannot be read, or are too few.
    """
    if not 0 < seconds < math.inf:
        raise ConfigError(f"seconds must be above 0 and finite, got {seconds}")
    folder = Path(folder)
    material = gather_material(data)
    _clear(folder)
    started = time.monotonic()
    model_file = _train_tokenizer(material, folder, seconds * _TOKENIZER_SHARE, quiet)
    tokens_folder = _write_tokens(material, model_file, folder)
    left = seconds * (1 - _TOKENIZER_SHARE)
    words = ["--run.time_limit_s", str(left)]
    config = parse_config(PriorTrainingConfig, PRIOR_CONFIG, words)
    prior_file = train_prior(config, tokens_folder, folder / "prior", quiet=quiet)
    elapsed = time.monotonic() - started
    return _draw(open_image_prior(prior_file), material, prior_file, tokens_folder, elapsed)


def _clear(folder: Path) -> None:
    """Remove what an earlier demonstration left, if it left all that is there."""
    tokenizer, tokens, prior = (folder / part for part in ("tokenizer", "tokens", "prior"))
    require_own_run(tokenizer)
    require_own_run(prior, tokens.name)
    plan = tokens / "tokens.json"
    if (plan.exists() or holds_run(prior)) and not holds_run(tokenizer):
        raise ConfigError(
            f"{folder} holds tokens that no demo of this version wrote: remove them or choose "
            f"another folder"
        )
    plan.unlink(missing_ok=True)
    remove_run(prior)
    remove_run(tokenizer)


def _train_tokenizer(material: Material, folder: Path, seconds: float, quiet: bool) -> Path:
    small = material.size < 48
    words = ["--run.time_limit_s", str(seconds)]
    words += ["--tokenizer.image_channels", str(material.training.channels)]
    words += ["--crop.size", str(material.size), "--crop.min_scale", str(material.min_scale)]
    words += ["--tokenizer.downsampling", "4" if small else "8"]
    words += ["--tokenizer.patch_size", "2" if small else "4"]
    words += ["--tokenizer.channels", "[32,48]" if small else "[48,64]"]
    config = parse_config(TokenizerTrainingConfig, TOKENIZER_CONFIG, words)
    images = DemoImages(material.training)
    return train_tokenizer(config, images, folder / "tokenizer", quiet=quiet)


def _write_tokens(material: Material, model_file: Path, folder: Path) -> Path:
    """Encode the training images once."""
    tokenizer = load_tokenizer(model_file)
    told = ConditionDataConfig("class" if material.training.class_names else "none")
    known = Known.load(KnownConfig(told), tokenizer)
    probe = to_float(material.probe).split(64)
    stop = stop_for_length(tokenizer, probe, _MEAN_LENGTH)
    to_tokens = ImageTokens(tokenizer, stop, known)
    where = folder / "tokens"
    plan = ShardPlan(
        source=to_tokens.source(material.training, material.size, model_file, where),
        data=material.name,
        num_images=len(material.training),
        views=material.views,
        size=material.size,
        min_scale=material.min_scale,
    )
    pretokenize(material.training, to_tokens, plan, where)
    return where


def _draw(
    model: ImagePrior, material: Material, prior_file: Path, tokens_folder: Path, elapsed: float
) -> GenerationDemo:
    """Draw samples and completions."""
    source, grid = model.source, (model.source.rows, model.source.columns)
    film = Film(grid[0] * grid[1], frames=32, images=16)
    request = Request(grid, _SAMPLES, classes_in_turn(source, _SAMPLES))
    tokens = next(
        draw_in_batches(
            model.prior,
            request,
            model.windows(),
            _SAMPLING,
            seed=0,
            batch_size=_SAMPLES,
            on_site=film,
        )
    )
    shards = open_token_shards(tokens_folder)
    return GenerationDemo(
        model=model,
        data=material.name,
        samples=_paint(model, tokens),
        tokens=tokens,
        moments=film.moments,
        completions=[_complete(model, image) for image in material.held_out[:_COMPLETIONS]],
        num_training=shards.packed.num_images,
        training_s=elapsed,
        history=read_history(prior_file.parent),
        prior_file=str(prior_file),
    )


def _complete(model: ImagePrior, image: Tensor) -> Completion:
    """Keep the upper half of an image, and draw the lower one some times."""
    known = encode_like(model, to_float(image).unsqueeze(0))
    grid = (model.source.rows, model.source.columns)
    mask = mask_of_region("top-half", grid)
    repeated = Tokens(*(item.expand(_TIMES, *item.shape[1:]) for item in known))
    request = Request(grid, _TIMES, known=repeated, mask=mask.expand(_TIMES, -1, -1))
    tokens = next(
        draw_in_batches(model.prior, request, model.windows(), _SAMPLING, seed=1, batch_size=_TIMES)
    )
    return Completion(image, mask, _paint(model, known)[0], _paint(model, tokens), tokens)


def _paint(model: ImagePrior, tokens: Tokens) -> Tensor:
    return torch.stack(
        list(paint(model.tokenizer, tokens, model.source.threshold, model.trained_size))
    )
