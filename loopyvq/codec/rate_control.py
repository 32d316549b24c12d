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
_SIZES = ("rate_bpp", "num_bytes")
# What a file may be better than asked for; of sizes, as a share.
_TOLERANCES = {
    "psnr_db": 0.01,
    "ssim": 0.0002,
    "rate_bpp": 0.001,
    "num_bytes": 0.001,
    "pixel_error": 0.0,
}
_FIRST_STRIDE = 0.125
_LEAST_SHARE = 0.02

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

    def is_close_to(self, value: float) -> bool:
        """Tell whether a value that meets the target leaves nothing worth another attempt."""
        return abs(value - self.value) <= self._tolerance

    def share_between(self, met: float, failed: float) -> float:
        """Guess how far from a value that meets the target towards one that does not it ends.

        Aims a little to the good side, and keeps away from both ends.
        """
        inside = self.value + 0.4 * math.copysign(self._tolerance, met - failed)
        if self.kind in _SIZES and min(met, failed, inside) > 0:
            met, failed, inside = math.log(met), math.log(failed), math.log(inside)
        return min(max((met - inside) / (met - failed), _LEAST_SHARE), 1 - _LEAST_SHARE)

    @property
    def _tolerance(self) -> float:
        return _TOLERANCES[self.kind] * (abs(self.value) if self.kind in _SIZES else 1.0)

    @property
    def wants_fine(self) -> bool:
        """Whether a smaller threshold comes closer to the target."""
        return self.kind not in _SIZES


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

    Walks from the middle of the range, as both ends cost the most to try, until the target lies
    between two thresholds, and goes on between them by interpolation. What is returned was
    measured, so that it meets the target even where the measure is not monotone; it may then miss
    a slightly better threshold.

    Args:
        attempt: makes a file at a threshold.
        measure: gives its value of the target's kind.
        target: what must be met.
        steps: attempts at most between two thresholds.

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

    def at(place: float) -> Found[TrialT]:
        """Try a place between the side that meets what can be met, 0, and the other, 1."""
        share = place if target.wants_fine else 1 - place
        threshold = SMALLEST_THRESHOLD ** (1 - share) * LARGEST_THRESHOLD**share
        trial = attempt(threshold)
        return Found(trial, threshold, measure(trial))

    place, stride = 0.5, _FIRST_STRIDE
    here = before = at(place)
    is_met = target.is_met_by(here.value)
    while target.is_met_by(here.value) == is_met:
        if is_met and place == 1:
            return here
        if place == 0:
            raise ConfigError(_out_of_reach(target, here.value, at(1.0).value))
        before, place_before = here, place
        place = min(place + stride, 1.0) if is_met else max(place - stride, 0.0)
        stride *= 2
        here = at(place)
    met, failed = (before, here) if is_met else (here, before)
    near, far = sorted((place, place_before))
    for step in range(steps):
        if target.is_close_to(met.value):
            break
        # Where the measure is a curve or a staircase, interpolation alone would creep.
        share = 0.5 if step % 3 == 2 else target.share_between(met.value, failed.value)
        between = near + share * (far - near)
        found = at(between)
        if target.is_met_by(found.value):
            met, near = found, between
        else:
            failed, far = found, between
    return met


def _out_of_reach(target: Target, one_end: float, other_end: float) -> str:
    unit, (low, high) = TARGETS[target.kind], sorted((one_end, other_end))
    return (
        f"{target.value:g} {unit} cannot be reached for this image with this model: "
        f"it gives {low:.4g} to {high:.4g} {unit}"
    )
