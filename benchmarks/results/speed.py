"""How long compressing and decompressing takes, in turns with the codecs of Pillow."""

import io
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from curves import STOP
from PIL import Image

from loopyvq.codec import Codec, Target
from loopyvq.data import to_pil
from loopyvq.evaluation.equal_bytes import fitting_files
from loopyvq.evaluation.rd_baselines import BASELINES, write_baseline

RATE_BPP = 0.25
PLAIN_SIZE = (768, 512)
CODECS = ("jpeg", "webp", "avif")


class Timed(NamedTuple):
    """Medians of one system.

    Attributes:
        compress_s: seconds per megapixel.
        decompress_s: seconds per megapixel.
        plain_compress_s: seconds for one image of `PLAIN_SIZE`.
        plain_decompress_s: seconds for one image of `PLAIN_SIZE`.
    """

    compress_s: float
    decompress_s: float
    plain_compress_s: float
    plain_decompress_s: float


class _System(NamedTuple):
    write: Callable[[], bytes]
    read: Callable[[bytes], object]


def timed_systems(
    codec: Codec,
    images: Sequence[torch.Tensor],
    thresholds: Sequence[float],
    rounds: int,
    threads: int,
) -> dict[str, Timed]:
    """Time all systems in turns, image by image, after one image that does not count.

    Args:
        codec: of the model.
        images: 8-bit pixels; one more of `PLAIN_SIZE` is made from the first.
        thresholds: to choose from.
        rounds: how often.
        threads: of the networks.

    Returns:
        Medians over images and rounds by system.
    """
    torch.set_num_threads(threads)
    plain = _plain(images[0])
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    of_plain: dict[str, list[tuple[float, float]]] = defaultdict(list)
    _run(_systems(codec, plain, thresholds), defaultdict(list), 1.0)
    for image in images:
        systems = _systems(codec, image, thresholds)
        megapixels = image.shape[1] * image.shape[2] / 1e6
        for _ in range(rounds):
            _run(systems, found, megapixels)
    systems = _systems(codec, plain, thresholds)
    for _ in range(rounds):
        _run(systems, of_plain, 1.0)
    return {
        name: Timed(
            *map(median, zip(*rows, strict=True)), *map(median, zip(*of_plain[name], strict=True))
        )
        for name, rows in found.items()
    }


def command_s(model: str, image: torch.Tensor, rounds: int, threads: int) -> tuple[float, float]:
    """Time the command ``loopyvq compress``, from its start to its end.

    Byte code is kept between the runs, as `pip` makes it when it installs a package.

    Args:
        model: path of the tokenizer.
        image: a photograph; one of `PLAIN_SIZE` is made from it.
        rounds: how often.
        threads: of the networks.

    Returns:
        Seconds for a picture of 8 x 8 pixels, which is hardly more than the start, and for the
        photograph; medians.
    """
    variables = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    spent: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        variables["PYTHONPYCACHEPREFIX"] = f"{folder}/bytecode"
        to_pil(_plain(image)).save(Path(folder) / "photo.png")
        to_pil(image[:, :8, :8]).save(Path(folder) / "tiny.png")
        for number in range(rounds + 1):
            for name in ("tiny", "photo"):
                words = [sys.executable, "-m", "loopyvq", "compress", f"{folder}/{name}.png"]
                words += ["--model", model, "--threshold", "0.2", "--out"]
                out = tempfile.mkdtemp(dir=folder)
                start_s = time.perf_counter()
                subprocess.run([*words, out], check=True, env=variables, stdout=subprocess.DEVNULL)
                if number:  # the first run writes the byte code
                    spent[name].append(time.perf_counter() - start_s)
    return median(spent["tiny"]), median(spent["photo"])


def _systems(codec: Codec, image: torch.Tensor, thresholds: Sequence[float]) -> dict[str, _System]:
    """Give all systems, each at about `RATE_BPP`."""
    budget = int(RATE_BPP * image.shape[1] * image.shape[2] / 8)
    writer = codec.writer(image)
    sizes = {value: len(writer.write(value, STOP, False).data) for value in thresholds}
    threshold = min(sizes, key=lambda value: abs(sizes[value] - budget))
    target = Target("num_bytes", sizes[threshold])
    ways = {
        "loopyvq, with the bound": lambda: codec.compress(image, threshold),
        "loopyvq, weighed in context": lambda: codec.compress(
            image, threshold, stop=STOP, bound=False
        ),
        "loopyvq, searching for a size": lambda: codec.compress(image, target=target),
    }
    systems = {name: _System(write, codec.decompress) for name, write in ways.items()}
    for name in CODECS:
        quality = fitting_files(name, image, [budget])[0].quality
        write = partial(write_baseline, name, image, quality)
        systems[BASELINES[name].file_format] = _System(write, _read)
    return systems


def _run(
    systems: dict[str, _System], found: dict[str, list[tuple[float, float]]], megapixels: float
) -> None:
    for name, system in systems.items():
        start_s = time.perf_counter()
        data = system.write()
        middle_s = time.perf_counter()
        system.read(data)
        end_s = time.perf_counter()
        found[name].append(((middle_s - start_s) / megapixels, (end_s - middle_s) / megapixels))


def _read(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def _plain(image: torch.Tensor) -> torch.Tensor:
    resized = to_pil(image).convert("RGB").resize(PLAIN_SIZE, Image.Resampling.LANCZOS)
    pixels = torch.frombuffer(bytearray(resized.tobytes()), dtype=torch.uint8)
    return pixels.reshape(PLAIN_SIZE[1], PLAIN_SIZE[0], 3).permute(2, 0, 1).contiguous()
