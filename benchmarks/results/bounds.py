"""Is every site within the bound? Files are written here and checked by a fresh process.

As a program (``python bounds.py MODEL FOLDER``) it is that process: it decodes and verifies every
file of a folder against the image beside it, and prints a line of JSON for each.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from kept import kept_file, parts_of_model

from loopyvq.codec import Codec
from loopyvq.data import open_image_set, to_pil
from loopyvq.tensor_file import write_atomically

THRESHOLDS = (1.0, 0.5, 0.25, 0.12, 0.06, 0.03)
_IMAGES_AT_A_TIME = 5


class Checked(NamedTuple):
    """A file as a fresh process finds it.

    Attributes:
        image: what it was made from.
        threshold: what it promises.
        num_bytes: its size.
        num_sites: of the image.
        share_within: share of the sites within the threshold.
        worst: largest error of a site, as a share of the threshold.
        num_escaped: sites with a remainder.
    """

    image: str
    threshold: float
    num_bytes: int
    num_sites: int
    share_within: float
    worst: float
    num_escaped: int


def checked_files(model: str, source: str, limit: int | None, out: Path) -> list[Checked]:
    """Write and verify files of all images at all thresholds, except for those done before.

    Args:
        model: path of the tokenizer.
        source: the images.
        limit: how many of them, or None for all.
        out: folder of what was measured.

    Returns:
        One entry per file.
    """
    codec = Codec.load(model)
    file = kept_file(out, source, "bound", [*parts_of_model(codec), THRESHOLDS], ".json")
    kept = json.loads(file.read_text("utf-8")) if file.is_file() else []
    found: dict[str, list[Checked]] = {}
    for row in kept:
        found.setdefault(row[0], []).append(Checked(*row))
    images = dict(islice(open_image_set(source, channels=3).images(), limit))
    missing = iter([(name, image) for name, image in images.items() if name not in found])
    while some := dict(islice(missing, _IMAGES_AT_A_TIME)):
        for row in _check(codec, model, some):
            found.setdefault(row.image, []).append(row)
        file.parent.mkdir(parents=True, exist_ok=True)
        everything = [row for rows in found.values() for row in rows]
        write_atomically(file, json.dumps(everything).encode())
    return [row for name in images for row in found[name]]


def _check(codec: Codec, model: str, images: dict) -> Iterator[Checked]:
    with tempfile.TemporaryDirectory() as folder:
        for index, image in enumerate(images.values()):
            to_pil(image).save(Path(folder) / f"{index}.png")
            for threshold in THRESHOLDS:
                data = codec.compress(image, threshold)
                (Path(folder) / f"{index}@{threshold}.lvq").write_bytes(data)
        words = [sys.executable, __file__, model, folder]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    names = list(images)
    for line in done.stdout.splitlines():
        index, *rest = json.loads(line)
        yield Checked(names[int(index)], *rest)


def _verify(model: str, folder: Path) -> None:
    codec = Codec.load(model)
    for path in sorted(folder.glob("*.lvq")):
        index, _, threshold = path.stem.partition("@")
        data = path.read_bytes()
        image = open_image_set(folder / f"{index}.png", channels=3).read(0)
        codec.decompress(data)
        sites, found = codec.decode_sites(data), codec.verify(data, image)
        row = (index, float(threshold), len(data), sites.tokens.lengths.numel())
        shares = (found.share_within, found.worst / found.threshold)
        print(json.dumps([*row, *shares, sites.num_escaped]), flush=True)


if __name__ == "__main__":
    _verify(sys.argv[1], Path(sys.argv[2]))
