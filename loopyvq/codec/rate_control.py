"""From what a user wants of a file to the threshold that gives it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from loopyvq.errors import ConfigError

__all__ = ["TARGETS", "Found", "Target", "search", "threshold_of_quality"]

LARGEST_THRESHOLD = 1.6
SMALLEST_THRESHOLD = 0.02
_ATTEMPTS = 16
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
    "psnr_db": 0.02,
    "ssim": 0.0004,
    "rate_bpp": 0.002,
    "num_bytes": 0.002,
}
# What is lost, as `Target.excess` counts, from one end of the range to the other, about.
_SLOPES = {"psnr_db": 15.0, "ssim": 0.6, "rate_bpp": 5.3, "num_bytes": 5.3, "pixel_error": 200.0}
_MOST_OFF = 4.0
# Strides beyond all that was tried grow from the least, and are at most this share of the range.
_LEAST_STRIDE, _LARGEST_STRIDE = 0.01, 0.35
# Two places as near as this, 0.04 % of a threshold, have nothing between them but chance; of
# levels, 1.3 %, as the next one is far off.
_NEAREST = {"pixel_error": 3e-3}
_USUALLY_NEAREST = 1e-4
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
        """Tell whether a value that meets the target leaves nothing worth another attempt.

        Of levels that is not known: they are whole, and the same from threshold to threshold.
        """
        return self.kind in _TOLERANCES and abs(value - self.value) <= self._tolerance

    def excess(self, value: float) -> float:
        """Tell how much better a value is than what should be aimed for, for sizes in logarithms.

        That lies a little on the good side of the target; for levels, between it and the next.
        """
        sign = 1 if self.kind in _AT_LEAST else -1
        if self.kind in _TOLERANCES:
            wanted = self.value + 0.4 * sign * self._tolerance
        else:
            wanted = math.floor(self.value) + 0.5
        if self.kind in _SIZES and min(value, wanted) > 0:
            value, wanted = math.log(value), math.log(wanted)
        return sign * (value - wanted)

    @property
    def _tolerance(self) -> float:
        return _TOLERANCES[self.kind] * (abs(self.value) if self.kind in _SIZES else 1.0)

    @property
    def wants_fine(self) -> bool:
        """Whether a smaller threshold comes closer to the target."""
        return self.kind not in _SIZES


class _Tried(NamedTuple):
    """A place between that which meets what can be met, 0, and the other end, 1.

    Attributes:
        place: where.
        excess: how much better it is than what is aimed for.
    """

    place: float
    excess: float

    def halved(self) -> "_Tried":
        """Count for less, as a side of a bracket that has stood still."""
        return self._replace(excess=self.excess / 2)


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
) -> Found[TrialT]:
    """Find the cheapest file that is good enough, or the best one that is small enough.

    Starts in the middle of the range and follows the curve as it usually runs, then as it was seen
    to run, until the target lies between two thresholds; goes on between them by interpolation
    (the Illinois variant of false position, which does not creep). What is returned was measured,
    so that it meets the target even where the measure is not monotone; it may then miss a slightly
    better threshold.

    Args:
        attempt: makes a file at a threshold.
        measure: gives its value of the target's kind.
        target: what must be met.

    Returns:
        The file, its threshold and its value.

    Raises:
        ConfigError: the target is unknown, not a number, or out of reach, where the message names
            the range that can be reached; or a measure is not finite.
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
        value = measure(trial)
        if not math.isfinite(value):
            raise ConfigError(f"a file at threshold {threshold:.4g} has {value} {target.kind}")
        return Found(trial, threshold, value)

    met: Found[TrialT] | None = None
    sides: dict[bool, _Tried] = {}  # the latest that meets the target, and that does not
    before: _Tried | None = None
    place, stride = 0.5, _LEAST_STRIDE
    left = _ATTEMPTS  # unless it takes more to find one that meets the target
    while True:
        left -= 1
        found, is_met = at(place), False
        if target.is_met_by(found.value):
            met, is_met = found, True
            if place == 1 or target.is_close_to(found.value):
                return found
        elif place == 0:
            raise ConfigError(_out_of_reach(target, found.value, at(1.0).value))
        here = _Tried(place, target.excess(found.value))
        if len(sides) == 2 and before is sides[is_met]:
            sides[not is_met] = sides[not is_met].halved()
        sides[is_met] = here
        if len(sides) == 1:
            place = _beyond(here, before, _SLOPES[target.kind], stride)
            stride *= 2
        else:
            apart = sides[False].place - sides[True].place
            nearest = _NEAREST.get(target.kind, _USUALLY_NEAREST)
            if met is not None and (left <= 0 or apart <= nearest):
                return met
            place = _between(sides[True], sides[False])
        before = here


def _beyond(here: _Tried, before: _Tried | None, usual: float, least: float) -> float:
    """Follow the curve to where the target should be, but not too far from what was tried."""
    slope = usual
    if before is not None:
        seen = (before.excess - here.excess) / (here.place - before.place)
        slope = min(max(seen, usual / _MOST_OFF), usual * _MOST_OFF)
    stride = min(max(abs(here.excess) / slope, least), _LARGEST_STRIDE)
    return min(max(here.place + math.copysign(stride, here.excess), 0.0), 1.0)


def _between(met: _Tried, failed: _Tried) -> float:
    """Guess where between two places the target lies, away from both."""
    share = met.excess / (met.excess - failed.excess)
    share = min(max(share, _LEAST_SHARE), 1 - _LEAST_SHARE)
    return met.place + share * (failed.place - met.place)


def _out_of_reach(target: Target, one_end: float, other_end: float) -> str:
    unit, (low, high) = TARGETS[target.kind], sorted((one_end, other_end))
    return (
        f"{target.value:g} {unit} cannot be reached for this image with this model: "
        f"it gives {low:.4g} to {high:.4g} {unit}"
    )
