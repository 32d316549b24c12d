"""How far a reconstruction lies from its image, in pixels and in structure."""

from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from loopyvq.config import require_numbers
from loopyvq.errors import ConfigError
from loopyvq.losses.ssim import ms_ssim, scale_weights_for

__all__ = ["ReconstructionLoss", "ReconstructionLossConfig", "ReconstructionTerms"]

_DATA_RANGE = 2.0  # images are in [-1, 1]


@dataclass(frozen=True)
class ReconstructionLossConfig:
    """Weights of the reconstruction loss; none negative, at least one positive.

    Args:
        l1_weight: weight of the mean absolute error.
        l2_weight: weight of the mean squared error.
        ms_ssim_weight: weight of 1 - MS-SSIM.

    Raises:
        ConfigError: a weight is negative or not finite, or all are zero.
    """

    l1_weight: float = 1.0
    l2_weight: float = 0.0
    ms_ssim_weight: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        weights = {field.name: getattr(self, field.name) for field in fields(self)}
        require_numbers(self, "a finite number of at least 0", *weights)
        if not any(weights.values()):
            raise ConfigError(
                f"at least one of {', '.join(weights)} must be above 0, got 0 for all: "
                "without one the decoder learns nothing"
            )


class ReconstructionTerms(NamedTuple):
    """The reconstruction loss and its unweighted terms, all means over the batch.

    Attributes:
        reconstruction_loss: the weighted sum of the three terms; the one to minimise.
        l1: mean absolute error, in [0, 2].
        l2: mean squared error, in [0, 4].
        ms_ssim: mean of 1 - MS-SSIM, in [0, 1): 0 for equal images. It is costly, so it is computed
            only if its weight is positive and is a constant 0 otherwise.
    """

    reconstruction_loss: Float32[Tensor, ""]
    l1: Float32[Tensor, ""]
    l2: Float32[Tensor, ""]
    ms_ssim: Float32[Tensor, ""]


class ReconstructionLoss(nn.Module):
    """Weigh absolute error, squared error and lost structure into one loss.

    MS-SSIM uses as many of its five scales as the smaller image side has room for (four at 128 px),
    see `scale_weights_for`.

    Args:
        config: the weights.

    Example:
        >>> criterion = ReconstructionLoss(ReconstructionLossConfig(l1_weight=1.0, l2_weight=2.0))
        >>> terms = criterion(torch.full((1, 3, 8, 8), 0.5), torch.zeros(1, 3, 8, 8))
        >>> terms.l1, terms.l2, terms.reconstruction_loss
        (tensor(0.5000), tensor(0.2500), tensor(1.))

    References:
        Loss Functions for Image Restoration with Neural Networks, 2017, section III,
        https://arxiv.org/abs/1511.08861
    """

    def __init__(self, config: ReconstructionLossConfig) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, image: Float[Tensor, "b c H W"], reference: Float[Tensor, "b c H W"]
    ) -> ReconstructionTerms:
        """Compare reconstructions with their images.

        Args:
            image: the reconstructions, in [-1, 1] or a little beyond.
            reference: the originals, in [-1, 1], of the same shape.

        Returns:
            The loss and its terms, float32 scalars also under autocast.

        Raises:
            ValueError: the shapes differ, or MS-SSIM is asked for and a side is under 11 px.
        """
        if image.shape != reference.shape:
            raise ValueError(
                "image and reference must have one shape (b, c, H, W), got "
                f"{tuple(image.shape)} and {tuple(reference.shape)}: crop or resize one of them"
            )
        image, reference = image.float(), reference.float()
        error = image - reference
        l1, l2 = error.abs().mean(), error.square().mean()
        dissimilarity = self._dissimilarity(image, reference)
        reconstruction_loss = (
            self.config.l1_weight * l1
            + self.config.l2_weight * l2
            + self.config.ms_ssim_weight * dissimilarity
        )
        return ReconstructionTerms(reconstruction_loss, l1, l2, dissimilarity)

    def _dissimilarity(self, image: Tensor, reference: Tensor) -> Tensor:
        if self.config.ms_ssim_weight == 0:
            return torch.zeros((), device=image.device)
        scale_weights = scale_weights_for(min(image.shape[2:]))
        similarity: Tensor = ms_ssim(image, reference, _DATA_RANGE, scale_weights)
        return 1 - similarity.mean()
