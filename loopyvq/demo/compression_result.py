"""What was found about files of photographs, ours beside everybody's, ready to be shown."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from jaxtyping import UInt8
from torch import Tensor

from loopyvq.codec import Verified
from loopyvq.evaluation.rd_points import RdPoint
from loopyvq.models import AnyTokenizerConfig
from loopyvq.tokens import Tokens

__all__ = [
    "OTHERS",
    "BoundCheck",
    "ComparedFile",
    "ComparedPhoto",
    "CompressionDemo",
    "Gap",
    "MeanFile",
    "OtherFile",
    "gap_to",
    "means_at",
]

OTHERS = {"jpeg": "JPEG", "webp": "WebP"}
"""The codecs that ours stands beside, and what people call them."""


class OtherFile(NamedTuple):
    """A file of another codec, as large as ours at most.

    Attributes:
        point: its size, and how good it is.
        data: its bytes.
        fits: whether it is no larger than ours; otherwise it is the smallest that there is.
    """

    point: RdPoint
    data: bytes
    fits: bool


class ComparedFile(NamedTuple):
    """One of our files, and what was read from it.

    Attributes:
        path: where it is.
        point: its size, and how good it is.
        decoded: the pixels.
        tokens: of its sites, of shape ``h w``.
        others: one file of each of `OTHERS`.
    """

    path: str
    point: RdPoint
    decoded: UInt8[Tensor, "3 H W"]
    tokens: Tokens
    others: list[OtherFile]


class ComparedPhoto(NamedTuple):
    """One photograph.

    Attributes:
        name: its name.
        original: the pixels.
        files: one per threshold, coarse to fine.
    """

    name: str
    original: UInt8[Tensor, "3 H W"]
    files: list[ComparedFile]


class BoundCheck(NamedTuple):
    """A file that promises its threshold at every site, checked against the photograph.

    Attributes:
        path: where it is.
        num_bytes: its size.
        num_sites: of the photograph.
        num_escaped: sites that carry a remainder because tokens alone did not suffice.
        found: the worst site.
    """

    path: str
    num_bytes: int
    num_sites: int
    num_escaped: int
    found: Verified


class CompressionDemo(NamedTuple):
    """Everything on the page.

    Attributes:
        photos: photographs at every threshold.
        thresholds: stop distances in units of the latents' scale, coarse to fine.
        check: of one bounded file.
        model: name of the model.
        model_bytes: size of its file, entropy tables included.
        config: its sizes.
        num_parameters: of it.
        learned: names of those photographs that the model was trained on.
    """

    photos: list[ComparedPhoto]
    thresholds: list[float]
    check: BoundCheck
    model: str
    model_bytes: int
    config: AnyTokenizerConfig
    num_parameters: int
    learned: list[str]


class MeanFile(NamedTuple):
    """The files of one system at one threshold, averaged over photographs.

    Attributes:
        num_bytes: mean size.
        rate_bpp: mean bits per pixel.
        psnr_db: mean PSNR.
        ms_ssim: mean MS-SSIM.
        num_larger: files that are larger than ours, because there is no smaller one.
        num_files: all of them.
    """

    num_bytes: float
    rate_bpp: float
    psnr_db: float
    ms_ssim: float
    num_larger: int
    num_files: int

    def larger_than(self, ours: "MeanFile") -> str:
        """Say where files are larger than ours, as plain text; empty where none is."""
        if not self.num_larger:
            return ""
        if self.num_larger == self.num_files:
            return f"{self.num_bytes / ours.num_bytes:.1f} times the bytes"
        return f"{self.num_larger} of {self.num_files} larger"


class Gap(NamedTuple):
    """Our files against another codec's, where it has one that is no larger.

    Attributes:
        psnr_db: how much better ours are, on average; NaN if nothing could be compared.
        ms_ssim: the same in MS-SSIM.
        bytes_percent: how much larger theirs are, on average; at most 0.
        num_compared: files that could be compared.
        num_files: all of ours.
    """

    psnr_db: float
    ms_ssim: float
    bytes_percent: float
    num_compared: int
    num_files: int


def means_at(photos: Sequence[ComparedPhoto], place: int) -> list[MeanFile]:
    """Average the files of one threshold.

    Args:
        photos: at least one.
        place: of the threshold.

    Returns:
        Ours, then one for each of `OTHERS`.
    """
    files = [photo.files[place] for photo in photos]
    means = [_mean([file.point for file in files], 0)]
    for other in range(len(OTHERS)):
        theirs = [file.others[other] for file in files]
        means.append(_mean([file.point for file in theirs], sum(not file.fits for file in theirs)))
    return means


def gap_to(photos: Sequence[ComparedPhoto], system: str) -> Gap:
    """Compare at equal bytes.

    Args:
        photos: to average over.
        system: one of `OTHERS`.

    Returns:
        The mean difference over all files that have a counterpart.
    """
    place = list(OTHERS).index(system)
    files = [file for photo in photos for file in photo.files]
    pairs = [(file.point, file.others[place].point) for file in files if file.others[place].fits]
    if not pairs:
        return Gap(math.nan, math.nan, math.nan, 0, len(files))
    psnr_db = fmean(ours.psnr_db - theirs.psnr_db for ours, theirs in pairs)
    ms_ssim = fmean(ours.ms_ssim - theirs.ms_ssim for ours, theirs in pairs)
    share = fmean(theirs.num_bytes / ours.num_bytes for ours, theirs in pairs)
    return Gap(psnr_db, ms_ssim, 100 * (share - 1), len(pairs), len(files))


def _mean(points: Sequence[RdPoint], num_larger: int) -> MeanFile:
    return MeanFile(
        fmean(point.num_bytes for point in points),
        fmean(point.rate_bpp for point in points),
        fmean(point.psnr_db for point in points),
        fmean(point.ms_ssim for point in points),
        num_larger,
        len(points),
    )
