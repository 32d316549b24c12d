"""Evaluation: how good reconstructions are, and what they cost."""

from loopyvq.evaluation.label_maps import LabelPointResult, evaluate_label_maps
from loopyvq.evaluation.operating_points import (
    default_points,
    points_at_depths,
    points_at_lengths,
    points_at_thresholds,
)
from loopyvq.evaluation.reconstruction import (
    Evaluation,
    ImageResult,
    OperatingPoint,
    PointResult,
    evaluate,
    evaluate_image,
)

__all__ = [
    "Evaluation",
    "ImageResult",
    "LabelPointResult",
    "OperatingPoint",
    "PointResult",
    "default_points",
    "evaluate",
    "evaluate_image",
    "evaluate_label_maps",
    "points_at_depths",
    "points_at_lengths",
    "points_at_thresholds",
]
