"""What training a tokenizer means: one loss, one set of measurements, one validation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from loopyvq.checkpoint import save_tokenizer
from loopyvq.config import require_numbers
from loopyvq.data import CropConfig, to_float, to_uint8
from loopyvq.errors import ConfigError
from loopyvq.losses import ReconstructionLoss, ReconstructionLossConfig
from loopyvq.losses.rate import gaussian_rate_bits
from loopyvq.metrics.codebook import measure_usage, spread_of_energies
from loopyvq.metrics.rate import estimate_rate
from loopyvq.models import Reconstruction, Tokenizer, TokenizerConfig
from loopyvq.ops.similarity import WINDOW_SIZE
from loopyvq.pictures import length_map, sheet
from loopyvq.training.budget import BudgetConfig, draw_budget, fixed_budget
from loopyvq.training.optim import OptimConfig
from loopyvq.training.run_config import RunConfig
from loopyvq.training.task import Validation

__all__ = ["Losses", "Pass", "TokenizerTask", "TokenizerTrainingConfig"]

# Mean lengths at which held-out images are reconstructed.
_VALIDATION_LENGTHS = (1.0, 2.0, 4.0)
# Their quality is read at one rate: training changes what a token costs as well as what it says,
# and a run whose PSNR at equal lengths went on rising had got worse at equal bytes.
_VALIDATION_RATE_BPP = 0.25
# What twice the bits add to photographs' PSNR around there.
_PSNR_DB_PER_DOUBLING = 2.4
_PANEL_IMAGES = 4


@dataclass(frozen=True)
class TokenizerTrainingConfig:
    """Everything that `loopyvq train tokenizer` can be told.

    Attributes:
        tokenizer: the networks and the loop.
        content: ``images``; or ``depth``: depth maps, one channel, each stretched to the whole
            range.
        crop: how training crops are cut.
        budget: how many tokens an image may spend.
        loss: the reconstruction loss.
        optim: the optimizer.
        run: steps, batches, hardware, intervals.
        rate_weight: weight of a differentiable rate, times the squared threshold, as in
            ``D + lambda(threshold) R``; 0 leaves it out. It keeps the sites' energies apart.
        rate_by_entry: whether every entry of a latent counts in that rate by its own energy, which
            gathers the energy in few entries.
        scale_weight: weight of the squared logarithm of the latents' root-mean-square norm. The
            quantizer measures in units of that norm, so nothing else holds it: without this term
            it doubled about every 165 steps (docs/experiments.md, 2026-11-20).
        cue_dropout: share of images whose lengths and threshold the decoder does not see.
        num_validation: images held out for validation; 0 trains on all and keeps the last model.
        start_from: a model whose weights the networks start with, of the same sizes but perhaps of
            fewer or more turns: a file, a run, or what ``loopyvq convert`` wrote.
    """

    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    content: Literal["images", "depth"] = "images"
    crop: CropConfig = field(default_factory=CropConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    loss: ReconstructionLossConfig = field(default_factory=ReconstructionLossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    run: RunConfig = field(default_factory=RunConfig)
    rate_weight: float = 0.0
    rate_by_entry: bool = False
    scale_weight: float = 1.0
    cue_dropout: float = 0.1
    num_validation: int = 16
    start_from: str = ""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_numbers(self, "0 or more", "rate_weight", "scale_weight", "num_validation")
        require_numbers(self, "within [0, 1]", "cue_dropout")
        if self.loss.ms_ssim_weight and self.crop.size < WINDOW_SIZE:
            raise ConfigError(
                f"loss.ms_ssim_weight needs a crop.size of at least {WINDOW_SIZE}, "
                f"got {self.crop.size}"
            )


class Losses(NamedTuple):
    """What a pass cost, without gradient.

    Attributes:
        total: the loss that is minimised.
        rate_bits: the rate term before its weight.
    """

    total: Tensor
    rate_bits: Tensor


class Pass(NamedTuple):
    """What one pass of the model gave.

    Attributes:
        result: the reconstruction.
        regularisation: all terms of the loss that do not look at the image, with gradient.
        rate_bits: the rate term before its weight.
    """

    result: Reconstruction
    regularisation: Tensor
    rate_bits: Tensor


class TokenizerTask:
    """Train a tokenizer to reconstruct images at every rate.

    What a subclass says otherwise decides what it is that is reconstructed: `loss`, and how held
    out samples become batches, are judged and shown.

    Args:
        config: all options.
        tokenizer: the model to train.
        validation: images held out, of any sizes.
    """

    def __init__(
        self,
        config: TokenizerTrainingConfig,
        tokenizer: Tokenizer,
        validation: Sequence[UInt8[Tensor, "_ _ _"]],
    ) -> None:
        self.config = config
        self.quality = ("psnr_db", "PSNR", "dB")  # what `judge` gives: name, title, unit
        self.quality_per_doubling = _PSNR_DB_PER_DOUBLING
        self.model: nn.Module = tokenizer
        self.tokenizer = tokenizer
        self.tokenizer.quantizer.automatic_update = False
        self.reconstruction_loss = ReconstructionLoss(config.loss)
        self.validation = list(validation)
        self._last: tuple[Tensor, Reconstruction, Losses] | None = None

    def loss(
        self, model: nn.Module, images: Float[Tensor, "b c H W"], generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """Reconstruct a batch under a random budget and measure the loss.

        Args:
            model: the tokenizer, perhaps wrapped for several processes.
            images: in [-1, 1].
            generator: the source of budgets and dropped cues.

        Returns:
            The loss, with gradient.
        """
        found = self.reconstruct(model, images, generator)
        terms = self.reconstruction_loss(found.result.image, images)
        total = terms.reconstruction_loss + found.regularisation
        self._last = (images, found.result, Losses(total.detach(), found.rate_bits.detach()))
        return total

    def reconstruct(
        self, model: nn.Module, images: Float[Tensor, "b c H W"], generator: torch.Generator
    ) -> Pass:
        """Reconstruct a batch under a random budget, and weigh what the latents cost.

        Args:
            model: the tokenizer, perhaps wrapped for several processes.
            images: in [-1, 1].
            generator: the source of budgets and dropped cues.

        Returns:
            The reconstruction and the terms that do not depend on it.
        """
        config, quantizer = self.config, self.tokenizer.quantizer
        budget = draw_budget(config.budget, quantizer, len(images), generator)
        cued = torch.rand(len(images), generator=generator) >= config.cue_dropout
        result: Reconstruction = model(
            images, budget.threshold, budget.depth, cued.to(images.device)
        )
        energy = result.latents.float().square().sum(dim=-1).mean()
        drift = 0.5 * energy.clamp(min=1e-12).log()
        total = result.quantized.loss + config.scale_weight * drift.square()
        rate_bits = total.new_zeros(())
        if config.rate_weight > 0:
            scaled = result.latents.float() / quantizer.sigma.clone()
            limit = budget.threshold.clamp(min=1e-3)
            bits = gaussian_rate_bits(scaled, limit, config.rate_by_entry)
            per_image = bits.mean(dim=(1, 2), keepdim=True)
            rate_bits = (limit.square() * per_image).mean()
            total = total + config.rate_weight * rate_bits
        return Pass(result, total, rate_bits)

    def batch_of(self, pixels: UInt8[Tensor, "c H W"]) -> Float[Tensor, "1 c2 H W"]:
        """Make what the networks take of a sample that is held out."""
        return to_float(pixels).unsqueeze(0)

    def judge(self, found: Float[Tensor, "b c H W"], truth: Float[Tensor, "b c H W"]) -> float:
        """Tell how good reconstructions are; larger is better."""
        return _psnr_db(found.float().clamp(-1, 1), truth)

    def show(self, found: Float[Tensor, "1 c H W"]) -> UInt8[Tensor, "_ H W"]:
        """Make a picture of a reconstruction, or of what it came from."""
        return to_uint8(found[0].cpu())

    def networks(self) -> Sequence[nn.Module]:
        """Name the parts that may be compiled: all but the loop, which depends on its data."""
        return self.tokenizer.encoder, self.tokenizer.decoder

    def after_step(self) -> None:
        """Let the quantizer learn from all passes of the step."""
        self.tokenizer.quantizer.update()

    def measure(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Measure the last batch.

        Returns:
            Values by name, and what a progress bar should show of them.
        """
        if self._last is None:
            return {}, {}
        images, result, losses = self._last
        quantized, (name, title, unit) = result.quantized, self.quality
        usage = measure_usage(quantized.codes, self.tokenizer.quantizer.codebook_size)
        rate = estimate_rate([quantized.tokens], self.tokenizer.quantizer.codebook_size)
        pixels = images.shape[0] * images.shape[2] * images.shape[3]
        values = {
            "loss": float(losses.total),
            name: self.judge(result.image.detach(), images),
            "mean_length": float(quantized.lengths.float().mean()),
            "rate_bpp": rate.total_bits / pixels,
            "stop_bpp": rate.stop_bits / pixels,
            "commitment_loss": float(quantized.commitment_loss.detach()),
            "codebook_loss": float(quantized.codebook_loss.detach()),
            "rate_loss": float(losses.rate_bits),
            "converged_share": float(quantized.converged.float().mean()),
            "spread_of_energies": spread_of_energies(result.latents),
            "sigma": float(self.tokenizer.quantizer.sigma),
            "usage_per_turn": [turn.usage for turn in usage],
            "perplexity_per_turn": [turn.perplexity for turn in usage],
            "dummy_share_per_turn": [turn.dummy_share for turn in usage],
            "gains": self.tokenizer.quantizer.gains().tolist(),
        }
        shown = {
            "loss": f"{values['loss']:.4f}",
            title: f"{values[name]:.1f}{unit}",
            "length": f"{values['mean_length']:.2f}",
            "bpp": f"{values['rate_bpp']:.3f}",
        }
        return values, shown

    @torch.no_grad()
    def validate(self, model: nn.Module) -> Validation | None:
        """Reconstruct the held-out images at a few mean lengths.

        Args:
            model: a tokenizer in evaluation mode.

        Returns:
            The mean quality over lengths, each read at one rate, as the score; values by name; and
            a panel of pictures. None without held-out images.
        """
        if not self.validation:
            return None
        if not isinstance(model, Tokenizer):
            raise TypeError(f"expected a Tokenizer, got {type(model).__name__}")
        device = model.quantizer.sigma.device
        name, _, unit = self.quality
        values: dict[str, float] = {}
        scores = []
        for length in _VALIDATION_LENGTHS:
            quality, tokens, pixels = [], [], 0
            for sample in self.validation:
                image = self.batch_of(sample).to(device)
                budget = fixed_budget(self.config.budget, model.quantizer, 1, length)
                found = model.encode(image, budget.threshold, budget.depth)
                size = (image.shape[2], image.shape[3])
                quality.append(self.judge(model.decode(found, budget.threshold, size), image))
                tokens.append(found)
                pixels += size[0] * size[1]
            rate = estimate_rate(tokens, model.quantizer.codebook_size)
            mean, rate_bpp = sum(quality) / len(quality), rate.total_bits / pixels
            doublings = math.log2(_VALIDATION_RATE_BPP / max(rate_bpp, 1e-6))
            scores.append(mean + self.quality_per_doubling * doublings)
            values[f"validation_{name}_at_{length:g}"] = mean
            values[f"validation_rate_bpp_at_{length:g}"] = rate_bpp
        return Validation(sum(scores) / len(scores), values, self._panel(model, device), unit)

    def save(self, path: Path, model: nn.Module, step: int) -> None:
        """Write a tokenizer.

        Args:
            path: where to.
            model: the tokenizer.
            step: steps it was trained for.
        """
        if isinstance(model, Tokenizer):
            save_tokenizer(path, model, step=step)

    def _panel(self, model: Tokenizer, device: torch.device) -> UInt8[Tensor, "3 H W"]:
        """Show input, reconstruction and length map of a few images at about two tokens a site."""
        rows = []
        for sample in self.validation[:_PANEL_IMAGES]:
            budget = fixed_budget(self.config.budget, model.quantizer, 1, 2.0)
            image = self.batch_of(sample).to(device)
            tokens = model.encode(image, budget.threshold, budget.depth)
            size = (image.shape[2], image.shape[3])
            decoded = self.show(model.decode(tokens, budget.threshold, size))
            where = length_map(
                tokens.lengths[0], model.quantizer.max_depth, model.config.downsampling
            )
            rows.append([self.show(image), decoded, where[:, : size[0], : size[1]]])
        return sheet(rows)


def _psnr_db(image: Tensor, reference: Tensor) -> float:
    """PSNR of images in [-1, 1], before rounding to 8 bits, for a glance during training."""
    error = float((image.detach() - reference).square().mean())
    return 10 * math.log10(4 / max(error, 1e-10))
