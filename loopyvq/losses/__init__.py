"""What training minimises: functions and modules of tensors that know no model."""

from loopyvq.losses.reconstruction import (
    ReconstructionLoss,
    ReconstructionLossConfig,
    ReconstructionTerms,
)
from loopyvq.losses.ssim import SCALE_WEIGHTS, ms_ssim, scale_weights_for, ssim

__all__ = [
    "SCALE_WEIGHTS",
    "ReconstructionLoss",
    "ReconstructionLossConfig",
    "ReconstructionTerms",
    "ms_ssim",
    "scale_weights_for",
    "ssim",
]
