"""The game between the decoder and a discriminator: both losses, their balance, their brakes."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from loopyvq.config import require_numbers

__all__ = [
    "AdversarialConfig",
    "Lecam",
    "adaptive_weight",
    "discriminator_loss",
    "generator_loss",
    "r1_penalty",
]

GameKind = Literal["hinge", "vanilla", "non_saturating"]


@dataclass(frozen=True)
class AdversarialConfig:
    """When the game starts and what counts in it; steps are batches, of all passes together.

    Attributes:
        kind: ``hinge`` or ``vanilla`` as in taming, ``non_saturating``.
        weight: of the generator's loss, times the adaptive weight.
        start_step: batches before the generator's loss counts.
        lead_steps: batches before that in which the discriminator already learns: one that knows
            nothing yet pushes the decoder in random directions.
        warmup_steps: batches over which the weight rises from 0 to its full value; 0 or 1 starts
            with all of it, as taming does.
        adaptive: whether the weight follows the ratio of gradients at the decoder's last layer.
        adaptive_limit: largest ratio.
        r1_weight: weight of the squared gradient at real images, halved; 0 leaves it out.
        r1_every: batches between its measurements, each counting as many times.
        lecam_weight: weight of the distance to the other side's running mean; 0 leaves it out.
        lecam_decay: decay of these means.
    """

    kind: GameKind = "hinge"
    weight: float = 0.8
    start_step: int = 2000
    lead_steps: int = 500
    warmup_steps: int = 1000
    adaptive: bool = True
    adaptive_limit: float = 1e4
    r1_weight: float = 0.0
    r1_every: int = 16
    lecam_weight: float = 0.0
    lecam_decay: float = 0.99

    def __post_init__(self) -> None:
        """Check the ranges."""
        weights = ("weight", "adaptive_limit", "r1_weight", "lecam_weight")
        require_numbers(self, "a finite number of at least 0", *weights)
        require_numbers(self, "0 or more", "start_step", "lead_steps", "warmup_steps")
        require_numbers(self, "at least 1", "r1_every")
        require_numbers(self, "within [0, 1)", "lecam_decay")

    @property
    def discriminator_start(self) -> int:
        """The first batch in which the discriminator learns."""
        return max(0, self.start_step - self.lead_steps)

    def share_at(self, step: int) -> float:
        """Tell how much of the weight counts.

        Args:
            step: batches done so far.

        Returns:
            0 before the start, then rising to 1.

        Example:
            >>> config = AdversarialConfig(start_step=10, warmup_steps=4)
            >>> [config.share_at(step) for step in (9, 10, 11, 20)]
            [0.0, 0.25, 0.5, 1.0]
        """
        if step < self.start_step:
            return 0.0
        return min(1.0, (step - self.start_step + 1) / max(1, self.warmup_steps))


def generator_loss(kind: GameKind, fake: Float[Tensor, "*n"]) -> Float[Tensor, ""]:
    """Measure how badly reconstructions fool the discriminator.

    Args:
        kind: the game; hinge and vanilla are one for this side, as in taming.
        fake: logits of reconstructions.

    Returns:
        The mean, float32.
    """
    fake = fake.float()
    return F.softplus(-fake).mean() if kind == "non_saturating" else -fake.mean()


def discriminator_loss(
    kind: GameKind, real: Float[Tensor, "*n"], fake: Float[Tensor, "*m"]
) -> Float[Tensor, ""]:
    """Measure how badly the discriminator tells images from reconstructions.

    Args:
        kind: ``hinge`` and ``vanilla`` are half of the sum over both sides; ``non_saturating`` is
            the whole.
        real: logits of images.
        fake: logits of reconstructions, without gradient to their decoder.

    Returns:
        The loss, float32.

    Example:
        >>> discriminator_loss("hinge", torch.tensor([0.0]), torch.tensor([-2.0]))
        tensor(0.5000)
    """
    real, fake = real.float(), fake.float()
    if kind == "hinge":
        return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())
    both = F.softplus(-real).mean() + F.softplus(fake).mean()
    return both if kind == "non_saturating" else 0.5 * both


def adaptive_weight(
    reconstruction_gradient: Tensor, generator_gradient: Tensor, limit: float = 1e4
) -> Float[Tensor, ""]:
    """Weigh the generator's loss so that it moves the last layer as much as reconstruction does.

    Args:
        reconstruction_gradient: of the reconstruction and perceptual loss, at the weight of the
            decoder's last layer.
        generator_gradient: of the generator's loss, at the same.
        limit: largest weight.

    Returns:
        The ratio of their norms, the lower one plus 1e-4, within ``0..limit``, without gradient.

    References:
        Taming Transformers for High-Resolution Image Synthesis, 2021, eq. 7,
        https://arxiv.org/abs/2012.09841 (there 1e-6 and no limit; its code has 1e-4 and 1e4)
    """
    ratio = reconstruction_gradient.float().norm() / (generator_gradient.float().norm() + 1e-4)
    return ratio.clamp(0.0, limit).detach()


def r1_penalty(
    logits: Float[Tensor, "b 1 h w"], images: Float[Tensor, "b c H W"]
) -> Float[Tensor, ""]:
    """Measure the slope of a discriminator at real images.

    Args:
        logits: of these images.
        images: with ``requires_grad``.

    Returns:
        Half of the mean squared norm of the gradient, itself with gradient.

    References:
        Which Training Methods for GANs do actually Converge?, 2018, eq. 9,
        https://arxiv.org/abs/1801.04406
    """
    # The mean over patches is the image's logit; the sum over images keeps them apart.
    total = logits.float().mean(dim=(1, 2, 3)).sum()
    (slope,) = torch.autograd.grad(total, images, create_graph=True)
    return 0.5 * slope.float().square().sum(dim=(1, 2, 3)).mean()


class Lecam(nn.Module):
    """Hold the logits of each side near the running mean of the other; steadies little data.

    Args:
        decay: share of the old means kept per batch.

    References:
        Regularizing Generative Adversarial Networks under Limited Data, 2021, eq. 2,
        https://arxiv.org/abs/2104.03310
    """

    real: Tensor
    fake: Tensor

    def __init__(self, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("real", torch.zeros(()))
        self.register_buffer("fake", torch.zeros(()))

    def forward(self, real: Float[Tensor, "*n"], fake: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Follow the means, then measure the distances.

        Args:
            real: logits of images.
            fake: logits of reconstructions.

        Returns:
            The mean squared distance of each side to the other's mean, summed.
        """
        real, fake = real.float(), fake.float()
        with torch.no_grad():
            self.real.lerp_(real.mean(), 1 - self.decay)
            self.fake.lerp_(fake.mean(), 1 - self.decay)
        # Clones: the next batch changes the buffers before this one's gradient may be taken.
        to_fake = (real - self.fake.clone()).square().mean()
        return to_fake + (fake - self.real.clone()).square().mean()
