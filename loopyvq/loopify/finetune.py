"""Teach the decoder of a loopified tokenizer to paint from longer sequences."""

from collections.abc import Sequence
from pathlib import Path

from jaxtyping import UInt8
from torch import Tensor

from loopyvq.checkpoint import load_tokenizer
from loopyvq.data import CropConfig, ImageSet, TrainingDraws, cached, split
from loopyvq.losses import ReconstructionLossConfig
from loopyvq.models import Tokenizer
from loopyvq.training import RunConfig, TokenizerTask, TokenizerTrainingConfig, train
from loopyvq.training.budget import BudgetConfig
from loopyvq.training.optim import OptimConfig

__all__ = ["DecoderTask", "finetune_decoder"]

# Below one token per site nothing gets shorter: this share of the draws has exactly one.
_LOWEST_LENGTH, _HIGHEST_LENGTH = 0.5, 4.0
_LEARNING_RATE = 3e-4
_HELD_OUT = 8


class DecoderTask(TokenizerTask):
    """Train the decoder alone: encoder, codes, gains and scale stay, and so do all tokens.

    Args:
        config: all options.
        tokenizer: the model to train.
        validation: images held out.
    """

    def __init__(
        self,
        config: TokenizerTrainingConfig,
        tokenizer: Tokenizer,
        validation: Sequence[UInt8[Tensor, "_ _ _"]],
    ) -> None:
        super().__init__(config, tokenizer, validation)
        tokenizer.quantizer.freeze()
        tokenizer.encoder.requires_grad_(False)


def finetune_decoder(
    tokenizer: Tokenizer,
    images: ImageSet,
    folder: Path,
    *,
    steps: int,
    batch_size: int = 16,
    crop: int = 128,
    seed: int = 0,
    quiet: bool = False,
) -> Tokenizer:
    """Train the decoder at mean lengths from 1 to 4.

    Args:
        tokenizer: a loopified model; its decoder changes.
        images: to train on; the last few are held out.
        folder: gets the record of the training.
        steps: optimizer steps, at least 1.
        batch_size: images per step.
        crop: side of the training crops in pixels.
        seed: of crops and draws.
        quiet: show no progress bar.

    Returns:
        The best model by its held-out images, in evaluation mode, on the same device.

    Raises:
        DataError: there are not enough images.
        TrainingError: the loss is not finite.
    """
    device = tokenizer.quantizer.sigma.device
    held_out = min(_HELD_OUT, len(images) // 4)
    training, validation = split(images, held_out, seed)
    config = TokenizerTrainingConfig(
        crop=CropConfig(size=crop),
        budget=BudgetConfig(low=_LOWEST_LENGTH, high=_HIGHEST_LENGTH),
        loss=ReconstructionLossConfig(l1_weight=1.0, l2_weight=4.0),
        optim=OptimConfig(learning_rate=_LEARNING_RATE, warmup_steps=min(50, steps)),
        run=RunConfig(
            steps=steps,
            batch_size=batch_size,
            seed=seed,
            average_decay=0.99,
            validate_every=max(1, min(250, steps)),
            save_every=max(1, steps),
            tensorboard=False,
            accelerator="cuda" if device.type == "cuda" else "cpu",
        ),
        scale_weight=0.0,
        num_validation=held_out,
    )
    draws = TrainingDraws(
        cached(training, config.run.cache_mb << 20), config.crop, seed, num_draws=steps * batch_size
    )
    task = DecoderTask(config, tokenizer, [image for _, image in validation.images()])
    train(task, draws, config.run, config.optim, folder, quiet=quiet)
    name = "best" if task.validation else "last"  # the folder may hold those of an earlier run
    return load_tokenizer(folder / f"{name}.safetensors", device)
