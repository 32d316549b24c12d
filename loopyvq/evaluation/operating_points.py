"""Which operating points to look at: by threshold, by depth, or by mean length."""

from collections.abc import Sequence

import torch

from loopyvq.errors import ConfigError
from loopyvq.evaluation.reconstruction import OperatingPoint
from loopyvq.models import Tokenizer

__all__ = ["default_points", "points_at_depths", "points_at_lengths", "points_at_thresholds"]

# Tokens per site, as shares of the largest depth, that cover the useful rates.
_DEFAULT_SHARES = (0.05, 0.125, 0.25, 0.375, 0.5625, 0.75)


def points_at_thresholds(tokenizer: Tokenizer, thresholds: Sequence[float]) -> list[OperatingPoint]:
    """Stop at given distances.

    Args:
        tokenizer: the model.
        thresholds: distances in units of the latents' scale, 0 or more.

    Returns:
        One point per threshold, at full depth.

    Raises:
        ConfigError: a threshold is negative.
    """
    if any(not threshold >= 0 for threshold in thresholds):
        raise ConfigError(f"thresholds must be 0 or more, got {list(thresholds)}")
    return [OperatingPoint(threshold, tokenizer.quantizer.max_depth) for threshold in thresholds]


def points_at_depths(tokenizer: Tokenizer, depths: Sequence[int]) -> list[OperatingPoint]:
    """Give every site the same number of turns, whatever its error.

    Args:
        tokenizer: the model.
        depths: numbers of turns, 1 to the model's ``max_depth``.

    Returns:
        One point per depth, with a threshold of 0.

    Raises:
        ConfigError: a depth is out of range.
    """
    most = tokenizer.quantizer.max_depth
    if any(not 1 <= depth <= most for depth in depths):
        raise ConfigError(f"depths must be within 1..{most} for this model, got {list(depths)}")
    return [OperatingPoint(0.0, depth) for depth in depths]


def points_at_lengths(tokenizer: Tokenizer, lengths: Sequence[float]) -> list[OperatingPoint]:
    """Stop at the distances that gave these mean lengths on the training images.

    Args:
        tokenizer: the model.
        lengths: tokens per site, within ``0..max_depth``.

    Returns:
        One point per length, at full depth; other images will need a little more or less.

    Raises:
        ConfigError: a length is out of range.
    """
    most = tokenizer.quantizer.max_depth
    if any(not 0 <= length <= most for length in lengths):
        raise ConfigError(f"mean lengths must be within 0..{most}, got {list(lengths)}")
    wanted = torch.tensor(list(lengths), dtype=torch.float32)
    thresholds = tokenizer.quantizer.length_curve.threshold_for(wanted).tolist()
    return points_at_thresholds(tokenizer, [float(f"{value:.3g}") for value in thresholds])


def default_points(tokenizer: Tokenizer) -> list[OperatingPoint]:
    """Cover the useful rates of a model with six points, coarse to fine.

    Args:
        tokenizer: a model whose configured threshold is 0 has a fixed depth.

    Returns:
        Thresholds, or depths for a model of fixed depth.
    """
    most = tokenizer.quantizer.max_depth
    if tokenizer.config.quantizer.threshold == 0:
        wanted = {max(1, round(share * most)) for share in (0.125, 0.25, 0.375, 0.5, 0.75, 1)}
        return points_at_depths(tokenizer, sorted(wanted))
    return points_at_lengths(tokenizer, [share * most for share in _DEFAULT_SHARES])
