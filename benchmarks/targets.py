"""How many files are written until a target is met, how near, and how long that takes.

    python benchmarks/targets.py MODEL IMAGES --limit 2

MODEL should have tables (`loopyvq tables`). Files are those of `loopyvq compress` with a target: in
context, with a look and a search, without a bound.
"""

import argparse
import time
from itertools import islice
from unittest import mock

from jaxtyping import UInt8
from torch import Tensor

from loopyvq.codec import Codec, Target
from loopyvq.codec.quality import measure_quality
from loopyvq.data import open_image_set

TARGETS = (
    Target("rate_bpp", 0.12),
    Target("rate_bpp", 0.25),
    Target("rate_bpp", 0.5),
    Target("num_bytes", 4000),
    Target("psnr_db", 27.0),
    Target("psnr_db", 30.0),
    Target("ssim", 0.9),
)


COLUMNS = ("image", "target", "wanted", "reached", "files written", "s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("images")
    parser.add_argument("--limit", type=int, default=2, metavar="N", help="only the first N images")
    arguments = parser.parse_args()
    codec, total = Codec.load(arguments.model), 0
    print(f"| {' | '.join(COLUMNS)} |\n|---|---|---:|---:|---:|---:|")
    for key, image in islice(open_image_set(arguments.images).images(), arguments.limit):
        for target in TARGETS:
            reached, count, took_s = meet(codec, image, target)
            total += count
            wanted = f"{target.kind} | {target.value:g}"
            print(f"| {key} | {wanted} | {reached:.5g} | {count} | {took_s:.1f} |", flush=True)
    print(f"\n{total} files")


def meet(codec: Codec, image: UInt8[Tensor, "c H W"], target: Target) -> tuple[float, int, float]:
    """Give what was reached, how many files were written for it, and the seconds that took."""
    start_s = time.perf_counter()
    writer = codec.writer(image)
    with mock.patch.object(writer, "write", wraps=writer.write) as write:
        data = writer.reach(target, "in_context", False)
    took_s = time.perf_counter() - start_s
    return reached_by(codec, image, target, data), write.call_count, took_s


def reached_by(codec: Codec, image: UInt8[Tensor, "c H W"], target: Target, data: bytes) -> float:
    """Measure a file as its target is measured."""
    if target.kind == "num_bytes":
        return float(len(data))
    if target.kind == "rate_bpp":
        return 8 * len(data) / image[0].numel()
    return measure_quality(target.kind, codec.decompress(data), image)


if __name__ == "__main__":
    main()
