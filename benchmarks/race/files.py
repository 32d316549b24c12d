"""The files of one image for every way in which an entry can be read."""

from collections.abc import Collection, Iterator
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from loopyvq.codec import Codec
from loopyvq.evaluation.rd_systems import Reading, files_of

__all__ = ["READINGS", "curves_of"]

# Mean lengths at which a loop is read, before codes are weighed, which leaves fewer tokens.
_LENGTHS = (0.6, 1.2, 2.0, 3.0, 4.2, 5.6, 7.2, 9.0, 11.0, 13.5, 16.5, 19.0)
_DROPPED = "uniform tail drop"
# Of a loop: stop rule and tune; of a fixed depth: the same tunes for codes that are priced.
_RULES = {
    "threshold stop": ("threshold", "psnr"),
    "rate_distortion stop": ("rate_distortion", "psnr"),
    "in_context stop": ("in_context", "psnr"),
    "in_context stop, balanced": ("in_context", "balanced"),
    "in_context stop, ms_ssim": ("in_context", "ms_ssim"),
}
_PRICED = {
    "priced codes": "psnr",
    "priced codes, balanced": "balanced",
    "priced codes, ms_ssim": "ms_ssim",
}
READINGS = (*_RULES, _DROPPED, *_PRICED)
"""The ways in which entries are read; those of fixed depth also plainly."""


def curves_of(
    codec: Codec,
    name: str,
    folder: Path,
    image: UInt8[Tensor, "c H W"],
    readings: Collection[str] = READINGS,
) -> Iterator[tuple[str, str, bytes]]:
    """Write all files of an entry for one image.

    Args:
        codec: of the entry.
        name: of the entry.
        folder: where its model is.
        image: 8-bit pixels.
        readings: those of `READINGS` that are wanted.

    Yields:
        Name of the curve, setting and file.
    """
    quantizer, found = codec.tokenizer.quantizer, []
    if quantizer.config.threshold == 0:
        found = [Reading(name, folder, fixed_depth=True)]
        found += [
            Reading(f"{name}, {priced}", folder, fixed_depth=True, priced=True, tune=tune)
            for priced, tune in _PRICED.items()
            if priced in readings
        ]
    else:
        longest = 0.97 * quantizer.max_depth
        lengths = torch.tensor(sorted({min(length, longest) for length in _LENGTHS}))
        thresholds = tuple(quantizer.length_curve.threshold_for(lengths).tolist())
        found = [
            Reading(f"{name}, {rule}", folder, False, thresholds, stop, tune=tune)
            for rule, (stop, tune) in _RULES.items()
            if rule in readings
        ]
        if _DROPPED in readings:
            found.append(Reading(f"{name}, {_DROPPED}", folder, fixed_depth=True))
    for reading in found:
        for setting, data in files_of(codec, image, reading):
            yield reading.name, setting, data
