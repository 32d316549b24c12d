"""From what a user wants of a file to the threshold that gives it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from loopyvq.errors import ConfigError

__all__ = ["TARGETS", "Found", "Target", "search", "threshold_of_quality"]

LARGEST_THRESHOLD = 1.6
SMALLEST_THRESHOLD = 0.02
_STEPS = 12
_LARGEST_QUALITY = 100

# What can be asked for, with the unit for messages.
TARGETS = {
    "psnr_db": "dB",
    "ssim": "SSIM",
    "rate_bpp": "bit/pixel",
    "num_bytes": "bytes",
    "pixel_error": "levels",
}
_AT_LEAST = ("psnr_db", "ssim")

TrialT = TypeVar("TrialT")


class Target(NamedTuple):
    """What a file should reach.

    Attributes:
        kind: one of `TARGETS`.
        value: at least this PSNR or SSIM; at most this rate, size or pixel error.
    """

    kind: str
    value: float

    def is_met_by(self, value: float) -> bool:
        """Tell whether a measured value is on the right side."""
        return value >= self.value if self.kind in _AT_LEAST else value <= self.value

    @property
    def wants_fine(self) -> bool:
        """Whether a smaller threshold comes closer to the target."""
        return self.kind not in ("rate_bpp", "num_bytes")


@dataclass(frozen=True)
class Found(Generic[TrialT]):
    """The end of a search.

    Attributes:
        trial: what was tried.
        threshold: with this.
        value: and gave this.
    """

    trial: TrialT
    threshold: float
    value: float


def threshold_of_quality(quality: float) -> float:
    """Map a quality to a threshold: each step of 10 divides it by about 1.56.

    Args:
        quality: 1 to 100.

    Returns:
        ``1.6 * 80 ** -((quality - 1) / 99)``, in units of the latents' scale.

    Raises:
        ConfigError: the quality is out of range.

    Example:
        >>> [round(threshold_of_quality(quality), 3) for quality in (1.0, 50.0, 100.0)]
        [1.6, 0.183, 0.02]
    """
    if not 1 <= quality <= _LARGEST_QUALITY:
        raise ConfigError(f"quality must be within 1..{_LARGEST_QUALITY}, got {quality}")
    ratio = LARGEST_THRESHOLD / SMALLEST_THRESHOLD
    return float(LARGEST_THRESHOLD * ratio ** -((quality - 1) / (_LARGEST_QUALITY - 1)))


def search(
    attempt: Callable[[float], TrialT],
    measure: Callable[[TrialT], float],
    target: Target,
    steps: int = _STEPS,
) -> Found[TrialT]:
    """Find the cheapest file that is good enough, or the best one that is small enough.

    Halves the range of the threshold's logarithm. What is returned was measured, so that it meets
    the target even where the measure is not monotone; it may then miss a slightly better threshold.

    Args:
        attempt: makes a file at a threshold.
        measure: gives its value of the target's kind.
        target: what must be met.
        steps: attempts between the ends of the range.

    Returns:
        The file, its threshold and its value.

    Raises:
        ConfigError: the target is unknown, not a number, or out of reach; the message names the
            range that can be reached.
    """
    if target.kind not in TARGETS or not math.isfinite(target.value):
        raise ConfigError(
            f"a target must be a number of {', '.join(TARGETS)}, got {target.kind} {target.value}"
        )
    fine, coarse = SMALLEST_THRESHOLD, LARGEST_THRESHOLD
    near, far = (fine, coarse) if target.wants_fine else (coarse, fine)
    best = _try(attempt, measure, near)
    beyond = _try(attempt, measure, far)
    if target.is_met_by(beyond.value):
        return beyond
    if not target.is_met_by(best.value):
        unit, (low, high) = TARGETS[target.kind], sorted((best.value, beyond.value))
        raise ConfigError(
            f"{target.value:g} {unit} cannot be reached for this image with this model: "
            f"it gives {low:.4g} to {high:.4g} {unit}"
        )
    for _ in range(steps):
        middle = _try(attempt, measure, math.sqrt(near * far))
        if target.is_met_by(middle.value):
            best, near = middle, middle.threshold
        else:
            far = middle.threshold
    return best


def _try(
    attempt: Callable[[float], TrialT], measure: Callable[[TrialT], float], threshold: float
) -> Found[TrialT]:
    trial = attempt(threshold)
    return Found(trial, threshold, measure(trial))
