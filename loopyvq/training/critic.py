"""The discriminator's side of the game, as one module: several processes need one forward pass."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from loopyvq.losses.adversarial import (
    AdversarialConfig,
    Lecam,
    discriminator_loss,
    r1_penalty,
)
from loopyvq.models.discriminator import DiscriminatorConfig, PatchDiscriminator

__all__ = ["Critic", "Verdict"]


class Verdict(NamedTuple):
    """What a critic found; all but ``loss`` without gradient.

    Attributes:
        loss: to minimise.
        game: the part of it that tells images from reconstructions.
        slope: the R1 penalty before its weight, 0 where it is not measured.
        drift: the LeCam term before its weight, 0 without it.
        real: mean logit of images.
        fake: mean logit of reconstructions.
        accuracy: share of patches on the right side of 0, both kinds counting alike.
    """

    loss: Float[Tensor, ""]
    game: Float[Tensor, ""]
    slope: Float[Tensor, ""]
    drift: Float[Tensor, ""]
    real: Float[Tensor, ""]
    fake: Float[Tensor, ""]
    accuracy: Float[Tensor, ""]

    def values(self) -> dict[str, float]:
        """Give the measurements under the names of the journal."""
        return {
            "discriminator_loss": float(self.game),
            "real_logit": float(self.real),
            "fake_logit": float(self.fake),
            "discriminator_accuracy": float(self.accuracy),
            "r1_penalty": float(self.slope),
            "lecam_penalty": float(self.drift),
        }


class Critic(nn.Module):
    """A discriminator with its loss and what steadies it.

    Args:
        sizes: of the discriminator.
        game: the losses.
        image_channels: channels of the images.
    """

    def __init__(
        self, sizes: DiscriminatorConfig, game: AdversarialConfig, image_channels: int
    ) -> None:
        super().__init__()
        self.game = game
        self.discriminator = PatchDiscriminator(sizes, image_channels)
        self.lecam = Lecam(game.lecam_decay)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def measures_slope(self, step: int) -> bool:
        """Tell whether the R1 penalty is due at a step."""
        return self.game.r1_weight > 0 and step % self.game.r1_every == 0

    def forward(
        self,
        images: Float[Tensor, "b c H W"],
        reconstructions: Float[Tensor, "b c H W"],
        measures_slope: bool = False,
    ) -> Verdict:
        """Judge images and their reconstructions.

        Args:
            images: in [-1, 1].
            reconstructions: without gradient.
            measures_slope: whether to add the R1 penalty.

        Returns:
            The loss and what it was made of.
        """
        images = images.detach().requires_grad_(measures_slope)
        real, fake = self.discriminator(images).float(), self.discriminator(reconstructions).float()
        game = discriminator_loss(self.game.kind, real, fake)
        loss, slope, drift = game, game.new_zeros(()), game.new_zeros(())
        if measures_slope:
            slope = r1_penalty(real, images)
            loss = loss + self.game.r1_weight * self.game.r1_every * slope
        if self.game.lecam_weight > 0:
            drift = self.lecam(real, fake)
            loss = loss + self.game.lecam_weight * drift
        accuracy = 0.5 * ((real > 0).float().mean() + (fake < 0).float().mean())
        parts = (game, slope, drift, real.mean(), fake.mean(), accuracy)
        return Verdict(loss, *(part.detach() for part in parts))
