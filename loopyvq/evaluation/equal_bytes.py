"""The best file of an everyday codec that is no larger than ours."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import UInt8
from torch import Tensor

from loopyvq.evaluation.rd_baselines import BASELINES, write_baseline

__all__ = ["FittingFile", "fitting_files"]

_HIGHEST_QUALITY = 95


class FittingFile(NamedTuple):
    """A file of at most so many bytes, or the smallest that the codec can write.

    Attributes:
        quality: the setting.
        data: the file.
        fits: whether it is no larger than it may be.
    """

    quality: int
    data: bytes
    fits: bool


def fitting_files(
    name: str, image: UInt8[Tensor, "c H W"], budgets: Sequence[int]
) -> list[FittingFile]:
    """Write an image as well as a number of bytes allows.

    The quality is found by bisection, as if files only grew with it; where they shrink for once by
    a few bytes, a slightly higher quality may have fitted as well.

    Args:
        name: one of `BASELINES` that has a quality.
        image: 8-bit pixels.
        budgets: numbers of bytes.

    Returns:
        One file per budget; where none fits, that of the lowest quality.

    Raises:
        ValueError: the codec's rate is not set by a quality.

    Example:
        >>> import torch
        >>> image = (torch.arange(48 * 48).view(1, 48, 48) // 10).byte()
        >>> [(file.quality, file.fits) for file in fitting_files("jpeg", image, [9, 9000])]
        [(1, False), (95, True)]
    """
    if BASELINES[name].option != "quality":
        raise ValueError(f"{name} has no quality to choose: take jpeg, webp or avif")
    lowest = int(BASELINES[name].values[0])
    written: dict[int, bytes] = {}

    def write(quality: int) -> bytes:
        if quality not in written:
            written[quality] = write_baseline(name, image, quality)
        return written[quality]

    found = []
    for num_bytes in budgets:
        low, high = lowest, _HIGHEST_QUALITY
        while low < high:
            between = (low + high + 1) // 2
            if len(write(between)) <= num_bytes:
                low = between
            else:
                high = between - 1
        found.append(FittingFile(low, write(low), len(write(low)) <= num_bytes))
    return found
