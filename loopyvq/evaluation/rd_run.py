"""All files of all systems for a set of images, each written, decoded and measured."""

import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from jaxtyping import UInt8
from torch import Tensor

from loopyvq.codec import Codec
from loopyvq.errors import DataError
from loopyvq.evaluation.rd_baselines import baseline_files
from loopyvq.evaluation.rd_points import RdPoint, measure_point
from loopyvq.evaluation.rd_reader import FreshReader
from loopyvq.evaluation.rd_systems import Reading, files_of

__all__ = ["measure_systems"]

_logger = logging.getLogger(__name__)


def measure_systems(
    images: Iterable[tuple[str, UInt8[Tensor, "_ _ _"]]],
    readings: Sequence[Reading],
    baselines: Sequence[str] = (),
    *,
    device: str = "cpu",
    lpips: Callable[[Tensor, Tensor], float] | None = None,
) -> Iterator[RdPoint]:
    """Measure real files, image by image.

    Files of models are written by this process and decoded by a fresh one.

    Args:
        images: names and 8-bit pixels.
        readings: curves of models, each with a name of its own.
        baselines: of `rd_baselines.BASELINES`; one that cannot write an image has no points of it.
        device: where to run the networks.
        lpips: measures a perceptual distance of two 8-bit images, if that is wanted.

    Yields:
        Points, those of an image together.

    Raises:
        CheckpointError: a model cannot be read.
        ConfigError: a model has no such stop rule, or takes other images.
    """
    codecs = {reading.model: Codec.load(reading.model, device) for reading in readings}
    with tempfile.TemporaryDirectory() as folder, FreshReader(device) as reader:
        file = Path(folder) / "image.lvq"
        for name, image in images:
            for reading in readings:
                for setting, data in files_of(codecs[reading.model], image, reading):
                    file.write_bytes(data)
                    decoded = reader.read(reading.model, file)
                    size = len(data)
                    yield measure_point(reading.name, setting, name, size, decoded, image, lpips)
            for system in baselines:
                try:
                    for setting, size, decoded in baseline_files(system, image):
                        yield measure_point(system, setting, name, size, decoded, image, lpips)
                except DataError as error:
                    _logger.warning("%s has no points of its own for %s: %s", system, name, error)
