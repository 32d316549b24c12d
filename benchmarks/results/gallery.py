"""Details of photographs beside everyday codecs at equal bytes."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from loopyvq.codec import Codec, Target
from loopyvq.data import decode_image, open_image_set, to_pil
from loopyvq.evaluation.equal_bytes import fitting_files
from loopyvq.evaluation.rd_baselines import BASELINES
from loopyvq.metrics.distortion import measure_distortion
from loopyvq.pictures import length_map, sheet

CODECS = ("jpeg", "webp")
# Photographs of scikit-image, bits per pixel, and where the detail begins (row, column).
SHOWN = (
    ("coffee.png", 0.2, (110, 180)),
    ("chelsea.png", 0.2, (40, 120)),
    ("rocket.jpg", 0.12, (130, 200)),
)
_DETAIL = (168, 208)


class Shown(NamedTuple):
    """One file of the gallery.

    Attributes:
        image: what it was made from.
        system: what made it.
        num_bytes: its size.
        psnr_db: of the whole image.
        ms_ssim: of the whole image.
    """

    image: str
    system: str
    num_bytes: int
    psnr_db: float
    ms_ssim: float


def draw_gallery(codec: Codec, path: Path) -> list[Shown]:
    """Draw a row per photograph: original, ours, the others, and where our tokens went.

    Args:
        codec: of the model.
        path: of the picture.

    Returns:
        What was drawn, row by row.
    """
    samples, rows, shown = open_image_set("samples"), [], []
    names = [samples.key(index) for index in range(len(samples))]
    for name, rate_bpp, corner in SHOWN:
        image = samples.read(names.index(name))
        files = dict(_files(codec, image, rate_bpp))
        decoded = {system: pixels for system, (_, pixels) in files.items()}
        for system, (num_bytes, pixels) in files.items():
            found = measure_distortion(pixels, image)
            shown.append(Shown(name, system, num_bytes, found.psnr_db, found.ms_ssim))
        pictures = [image, *decoded.values()]
        rows.append([_detail(picture, corner) for picture in pictures])
    to_pil(sheet(rows)).save(path, quality=85, method=6)
    return [entry for entry in shown if entry.num_bytes]


def _files(
    codec: Codec, image: torch.Tensor, rate_bpp: float
) -> Iterator[tuple[str, tuple[int, torch.Tensor]]]:
    """Give bytes and pixels of every column but the original's; the map of lengths has no bytes."""
    data = codec.compress(image, target=Target("rate_bpp", rate_bpp))
    yield "loopyvq", (len(data), codec.decompress(data))
    for name in CODECS:
        file = fitting_files(name, image, [len(data)])[0]
        label = BASELINES[name].file_format
        yield label, (len(file.data), decode_image(file.data, name, channels=3))
    lengths = codec.decode_sites(data).tokens.lengths
    config = codec.tokenizer.config
    where = length_map(lengths, int(lengths.max()), config.downsampling)
    yield "lengths", (0, where[:, : image.shape[1], : image.shape[2]])


def _detail(picture: torch.Tensor, corner: tuple[int, int]) -> torch.Tensor:
    (top, left), (height, width) = corner, _DETAIL
    return picture[:, top : top + height, left : left + width]
