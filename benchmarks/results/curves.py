"""Rate-distortion points of every system, measured once and kept."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import PIL
import torch
from kept import kept_file, parts_of_model

from loopyvq.codec import Codec
from loopyvq.codec.importance import DEFAULT_TUNE, TUNES
from loopyvq.data import open_image_set
from loopyvq.evaluation.rd_baselines import BASELINES
from loopyvq.evaluation.rd_points import RdPoint, points_from_csv, points_to_csv
from loopyvq.evaluation.rd_run import measure_systems
from loopyvq.evaluation.rd_systems import Reading
from loopyvq.tensor_file import write_atomically

STOP = "in_context"
_SPAN_BPP = (0.06, 1.0)
_COARSEST, _FINEST, _STEP = 1.6, 0.005, 0.8


def model_readings(
    name: str, model: Path, thresholds: Sequence[float], tunes: Sequence[str]
) -> list[Reading]:
    """Give the ways in which a model of variable length is read."""
    names = {tune: name if tune == DEFAULT_TUNE else f"{name} --tune {tune}" for tune in TUNES}
    readings = [
        Reading(names[tune], model, thresholds=tuple(thresholds), stop=STOP, tune=tune)
        for tune in tunes
    ]
    return [*readings, Reading(f"{name}, equal lengths", model, fixed_depth=True)]


def fixed_readings(name: str, model: Path) -> list[Reading]:
    """Give the ways in which a model of fixed depth is read."""
    plain = Reading(name, model, fixed_depth=True)
    priced = plain._replace(name=f"{name}, priced codes", priced=True, tune="psnr")
    return [plain, priced, priced._replace(name=f"{priced.name} --tune ms_ssim", tune="ms_ssim")]


def thresholds_for(codec: Codec, images: Sequence[torch.Tensor], count: int) -> tuple[float, ...]:
    """Find thresholds whose files lie evenly over the range of rates, whatever the model is like.

    Args:
        codec: of the model.
        images: a few, to try.
        count: how many thresholds.

    Returns:
        Thresholds, from the coarsest images to the finest.
    """
    writers = [codec.writer(image) for image in images]
    num_pixels = sum(image.shape[1] * image.shape[2] for image in images)
    rates: list[float] = []
    tried: list[float] = []
    threshold = _COARSEST
    while threshold > _FINEST:
        sizes = [len(writer.write(threshold, STOP, False).data) for writer in writers]
        rates.append(max([8 * sum(sizes) / num_pixels, *rates[-1:]]))
        tried.append(threshold)
        all_spent = len(rates) > 1 and _SPAN_BPP[0] < rates[-1] < 1.005 * rates[-2]
        if rates[-1] > _SPAN_BPP[1] or all_spent:
            break
        threshold *= _STEP
    ends = np.clip(_SPAN_BPP, rates[0], rates[-1])
    wanted = np.log(np.geomspace(*ends, count))
    found = np.exp(np.interp(wanted, np.log(rates), np.log(tried)))
    return tuple(dict.fromkeys(float(f"{value:.2g}") for value in found))


def model_points(
    readings: Sequence[Reading], source: str, limit: int | None, out: Path
) -> list[RdPoint]:
    """Measure files of one model, except for images that were measured before.

    Args:
        readings: of the model.
        source: the images.
        limit: how many of them, or None for all.
        out: folder of what was measured.

    Returns:
        Points of all readings.
    """
    parts = parts_of_model(Codec.load(readings[0].model))
    return _measured(readings, (), source, limit, out, parts)


def baseline_points(
    names: Sequence[str], source: str, limit: int | None, out: Path
) -> list[RdPoint]:
    """Measure files of everyday codecs; arguments as of `model_points`."""
    settings = [repr(BASELINES[name]) for name in names]
    return _measured((), names, source, limit, out, [PIL.__version__, *settings])


def _measured(
    readings: Sequence[Reading],
    baselines: Sequence[str],
    source: str,
    limit: int | None,
    out: Path,
    parts: Sequence[str],
) -> list[RdPoint]:
    """Measure what is not kept; what is kept is named by all it depends on."""
    names = [*(reading.name for reading in readings), *baselines]
    file = kept_file(out, source, names[0], [*parts, readings, baselines], ".csv")
    found: dict[str, list[RdPoint]] = {}
    for point in points_from_csv(file.read_text("utf-8")) if file.is_file() else []:
        found.setdefault(point.image, []).append(point)
    images = dict(islice(open_image_set(source, channels=3).images(), limit))
    missing = [(name, image) for name, image in images.items() if name not in found]
    print(f"{file.name}: {len(missing)} of {len(images)} images to measure", flush=True)
    for name, points in _by_image(measure_systems(missing, readings, baselines)):
        found[name] = points
        file.parent.mkdir(parents=True, exist_ok=True)
        every = [point for points in found.values() for point in points]
        write_atomically(file, points_to_csv(every).encode())
    return [point for name in images for point in found[name]]


def _by_image(points: Iterable[RdPoint]) -> Iterator[tuple[str, list[RdPoint]]]:
    """Group points that come image by image, each group as soon as it is whole."""
    group: list[RdPoint] = []
    for point in points:
        if group and point.image != group[0].image:
            yield group[0].image, group
            group = []
        group.append(point)
    if group:
        yield group[0].image, group
