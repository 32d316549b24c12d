"""Compress sample photographs with the model in the box, beside JPEG and WebP of as many bytes.

photograph --compress--> NAME-1.lvq ... NAME-5.lvq --decompress--> what the page shows
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jaxtyping import UInt8
from torch import Tensor
from tqdm import tqdm

from loopyvq.codec import Codec
from loopyvq.data import ImageSet, decode_image, open_image_set
from loopyvq.demo.compression_result import (
    OTHERS,
    BoundCheck,
    ComparedFile,
    ComparedPhoto,
    CompressionDemo,
    OtherFile,
)
from loopyvq.errors import DataError
from loopyvq.evaluation import points_at_lengths
from loopyvq.evaluation.equal_bytes import fitting_files
from loopyvq.evaluation.rd_points import measure_point
from loopyvq.models import Tokenizer
from loopyvq.pretrained import DEFAULT_MODEL, PRETRAINED
from loopyvq.tensor_file import write_atomically

__all__ = ["OURS", "run_compression"]

OURS = "loopyvq"
"""What our files are called beside others."""

# The first four that the model has not seen; none is above 0.4 million pixels.
_WANTED = ("coffee", "chelsea", "rocket", "astronaut", "motorcycle_left")
_PHOTOS = 4
# Tokens per site at the five thresholds, as shares of the largest depth.
_LENGTH_SHARES = (0.1875, 0.3125, 0.45, 0.6, 0.8)


def run_compression(folder: str | Path, *, quiet: bool = False) -> CompressionDemo:
    """Run the demonstration.

    Args:
        folder: where the files go, those of an earlier demonstration are replaced.
        quiet: show no progress bar.

    Returns:
        Everything the page shows.

    Raises:
        CheckpointError: a file cannot be written.
        DataError: the sample photographs are not installed.
    """
    model = PRETRAINED[DEFAULT_MODEL]
    photographs = _choose(open_image_set("samples"), model.trained_samples)
    codec = Codec.load(model.weights)
    thresholds, photos = _thresholds(codec.tokenizer), []
    total = len(photographs) * len(thresholds)
    with tqdm(total=total, disable=quiet, unit="file", file=sys.stderr) as bar:
        for name, image in photographs.items():
            shelf = _Shelf(Path(folder), codec, name, image)
            photos.append(ComparedPhoto(name, image, _compare(shelf, thresholds, bar.update)))
    name, image = next(iter(photographs.items()))
    middle = thresholds[len(thresholds) // 2]
    return CompressionDemo(
        photos=photos,
        thresholds=thresholds,
        check=_check(_Shelf(Path(folder), codec, name, image), middle),
        model=model.name,
        model_bytes=model.weights.stat().st_size,
        config=codec.tokenizer.config,
        num_parameters=sum(parameter.numel() for parameter in codec.tokenizer.parameters()),
        learned=[name for name in photographs if name in model.trained_samples],
    )


class _Shelf(NamedTuple):
    """One photograph, and where its files go."""

    folder: Path
    codec: Codec
    name: str
    image: UInt8[Tensor, "3 H W"]

    def store(self, suffix: str, data: bytes) -> tuple[Path, bytes]:
        """Write a file, and read what is there."""
        path = self.folder / f"{self.name}-{suffix}.lvq"
        write_atomically(path, data)
        return path, path.read_bytes()


def _choose(images: ImageSet, trained_samples: tuple[str, ...]) -> dict[str, Tensor]:
    """Take photographs that the model has not seen, as far as there are enough."""
    places = {Path(images.key(index)).stem: index for index in range(len(images))}
    missing = [name for name in _WANTED if name not in places]
    if missing:
        raise DataError(f"the sample photographs {', '.join(missing)} are not installed")
    unseen_first = sorted(_WANTED, key=lambda name: name in trained_samples)
    return {name: images.read(places[name]) for name in unseen_first[:_PHOTOS]}


def _thresholds(tokenizer: Tokenizer) -> list[float]:
    """Choose the thresholds, with two digits: the page shows exactly what was asked for."""
    lengths = [share * tokenizer.quantizer.max_depth for share in _LENGTH_SHARES]
    return [float(f"{point.threshold:.2g}") for point in points_at_lengths(tokenizer, lengths)]


def _compare(
    shelf: _Shelf, thresholds: list[float], advance: Callable[[], object]
) -> list[ComparedFile]:
    """Write a photograph at every threshold, read the files, and put others beside them."""
    writer, files = shelf.codec.writer(shelf.image), []
    for index, threshold in enumerate(thresholds, start=1):
        # As the model's card measures it: what a token costs is weighed, nothing is promised.
        data = writer.write(threshold, "in_context", bound=False).data
        files.append(shelf.store(str(index), data))
        advance()
    others = {
        system: fitting_files(system, shelf.image, [len(data) for _, data in files])
        for system in OTHERS
    }
    compared = []
    for index, (path, data) in enumerate(files):
        setting = f"{thresholds[index]:.3g}"
        sites = shelf.codec.decode_sites(data)
        decoded = shelf.codec.paint(sites)
        point = measure_point(OURS, setting, shelf.name, len(data), decoded, shelf.image)
        beside = [
            _measure(shelf, system, found[index].data, found[index].fits)
            for system, found in others.items()
        ]
        compared.append(ComparedFile(str(path), point, decoded, sites.tokens, beside))
    return compared


def _measure(shelf: _Shelf, system: str, data: bytes, fits: bool) -> OtherFile:
    decoded = decode_image(data, shelf.name)
    point = measure_point(system, "", shelf.name, len(data), decoded, shelf.image)
    return OtherFile(point, data, fits)


def _check(shelf: _Shelf, threshold: float) -> BoundCheck:
    """Write a file that promises its threshold, and see whether it keeps it."""
    path, data = shelf.store("bounded", shelf.codec.compress(shelf.image, threshold))
    sites = shelf.codec.decode_sites(data)
    found = shelf.codec.verify(data, shelf.image)
    return BoundCheck(str(path), len(data), sites.tokens.lengths.numel(), sites.num_escaped, found)
