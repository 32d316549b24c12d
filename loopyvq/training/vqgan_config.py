"""Everything that ``loopyvq train vqgan`` can be told."""

import math
from dataclasses import dataclass, field
from typing import Literal

from loopyvq.config import require_numbers
from loopyvq.errors import ConfigError
from loopyvq.losses.adversarial import AdversarialConfig
from loopyvq.losses.perceptual import LEAST_SIDE
from loopyvq.models import AnyTokenizerConfig, TamingConfig
from loopyvq.models.discriminator import DiscriminatorConfig
from loopyvq.training.optim import OptimConfig
from loopyvq.training.tokenizer_task import TokenizerTrainingConfig

__all__ = ["PerceptualConfig", "VqganTrainingConfig"]


@dataclass(frozen=True)
class PerceptualConfig:
    """The perceptual term beside the pixels.

    Attributes:
        kind: ``lpips``, which needs weights and stops the run without them; ``pyramid``, the
            normalised Laplacian pyramid, which needs none; ``none``.
        weight: of its mean over the batch.
        weights: the file or folder of LPIPS weights; by default the folder that LOOPYVQ_WEIGHTS
            names, or ``weights``.
    """

    kind: Literal["lpips", "pyramid", "none"] = "pyramid"
    weight: float = 1.0
    weights: str = ""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 <= self.weight < math.inf:
            raise ConfigError(f"perceptual weight must be 0 or more, got {self.weight}")


def _discriminator_optim() -> OptimConfig:
    return OptimConfig(learning_rate=2e-4, betas=(0.5, 0.9), weight_decay=0.0)


@dataclass(frozen=True)
class VqganTrainingConfig(TokenizerTrainingConfig):
    """All options of `TokenizerTrainingConfig`, and those of the game.

    Attributes:
        architecture: ``loopy`` trains ``tokenizer``; ``taming`` trains ``taming``, and ignores the
            other.
        taming: taming's networks.
        perceptual: the perceptual term.
        discriminator: the network on the other side.
        adversarial: the game.
        discriminator_optim: its optimizer; the warm-up counts from its own first step.
        rate_per_image: if above 0, both learning rates are this times ``run.batch_size``, as in
            taming (4.5e-6 there): what it multiplies by devices, accumulation and batch is one
            number here.
        recompute: whether blocks keep no activations; less memory for more time.
        discriminator_weights: the ``extras.safetensors`` beside a converted checkpoint of taming,
            or its folder, whose discriminator is taken up.
    """

    architecture: Literal["loopy", "taming"] = "loopy"
    taming: TamingConfig = field(default_factory=TamingConfig)
    perceptual: PerceptualConfig = field(default_factory=PerceptualConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    adversarial: AdversarialConfig = field(default_factory=AdversarialConfig)
    discriminator_optim: OptimConfig = field(default_factory=_discriminator_optim)
    rate_per_image: float = 0.0
    recompute: bool = False
    discriminator_weights: str = ""

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require_numbers(self, "a finite number of at least 0", "rate_per_image")
        if self.discriminator.condition_channels:
            raise ConfigError("a tokenizer has no condition: condition_channels must be 0")
        least = self.discriminator.least_side
        if self.crop.size < least:
            raise ConfigError(
                f"a discriminator of {self.discriminator.layers} layers needs a crop.size of at "
                f"least {least}, got {self.crop.size}: choose fewer discriminator.layers"
            )
        if self.perceptual.kind == "lpips" and self.crop.size < LEAST_SIDE:
            raise ConfigError(
                f"perceptual.kind lpips needs a crop.size of at least {LEAST_SIDE}, got "
                f"{self.crop.size}"
            )
        if self.architecture == "taming" and self.taming.label_maps:
            raise ConfigError("label maps have no GAN: taming.label_maps must be false")

    @property
    def networks(self) -> AnyTokenizerConfig:
        """The networks that are trained."""
        return self.taming if self.architecture == "taming" else self.tokenizer
