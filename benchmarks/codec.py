"""Real files: is the bound kept, what does each mode cost, how long does it take?

    python benchmarks/codec.py MODEL IMAGES [--large 12]

Files are written by this process and decoded by a fresh one, which sees nothing else. MODEL should
have tables (`loopyvq tables`). --large also codes an image of so many megapixels, tiled from
IMAGES, and reports the memory that took.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from loopyvq.codec import Codec
from loopyvq.codec.tiles import latents_in_tiles, paint_in_tiles
from loopyvq.coding import MODES
from loopyvq.data import open_image_set

THRESHOLDS = (1.5, 1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08, 0.05, 0.02, 0.005)
READER = """
import json, sys, time
from pathlib import Path
import numpy as np, torch
from loopyvq.codec import Codec
codec = Codec.load(sys.argv[1])
for path in sorted(Path(sys.argv[2]).glob("*.lvq")):
    data = path.read_bytes()
    start_s = time.perf_counter()
    image = codec.decompress(data)
    elapsed_s = time.perf_counter() - start_s
    sites = codec.decode_sites(data)
    np.save(path.with_suffix(".npy"), sites.z_q)
    print(json.dumps([path.stem, elapsed_s, sites.num_escaped]), flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("images")
    parser.add_argument("--large", type=float, metavar="MP")
    arguments = parser.parse_args()
    codec = Codec.load(arguments.model)
    images = dict(open_image_set(arguments.images).images())
    if arguments.large:
        measure_large(codec, list(images.values()), arguments.large)
        return
    measure_bound(codec, arguments.model, images)
    measure_modes(codec, images)
    measure_prefixes(codec, images)


def measure_bound(codec: Codec, model: str, images: dict[str, torch.Tensor]) -> None:
    sigma = float(codec.tokenizer.quantizer.sigma)
    latents = [latents_in_tiles(codec.tokenizer, image).numpy() for image in images.values()]
    print("| threshold | bytes | sites | within | worst / threshold | escaped | write s | read s |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    for threshold in THRESHOLDS:
        with tempfile.TemporaryDirectory() as folder:
            num_bytes, write_s = 0, 0.0
            for index, image in enumerate(images.values()):
                start_s = time.perf_counter()
                data = codec.compress(image, threshold)
                write_s += time.perf_counter() - start_s
                num_bytes += len(data)
                (Path(folder) / f"{index:04}.lvq").write_bytes(data)
            words = [sys.executable, "-c", READER, model, folder]
            lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout
            rows = [json.loads(line) for line in lines.splitlines()]
            errors = np.concatenate(
                [
                    np.linalg.norm(
                        np.load(Path(folder) / f"{name}.npy").astype(float) - meant, axis=-1
                    ).reshape(-1)
                    for (name, *_), meant in zip(rows, latents, strict=True)
                ]
            )
        within = 100 * float((errors <= threshold * sigma).mean())
        worst = errors.max() / (threshold * sigma)
        count = len(images)
        print(
            f"| {threshold} | {num_bytes // count} | {len(errors)} | {within:.3f} % | {worst:.5f} "
            f"| {sum(row[2] for row in rows)} | {write_s / count:.2f} "
            f"| {sum(row[1] for row in rows) / count:.2f} |"
        )


def measure_modes(codec: Codec, images: dict[str, torch.Tensor]) -> None:
    factor = codec.tokenizer.config.downsampling
    print(f"\n| bits per site, whole file | {' | '.join(MODES)} |\n|---|{'---:|' * len(MODES)}")
    for threshold in (0.5, 0.25, 0.12):
        means = []
        for mode in MODES:
            bits = sites = 0
            for image in images.values():
                bits += 8 * len(codec.compress(image, threshold, mode=mode))
                sites += -(-image.shape[1] // factor) * -(-image.shape[2] // factor)
            means.append(bits / sites)
        print(f"| {threshold} | {' | '.join(f'{mean:.2f}' for mean in means)} |")


def measure_prefixes(codec: Codec, images: dict[str, torch.Tensor]) -> None:
    depth = codec.tokenizer.quantizer.max_depth
    print(f"\n| PSNR after turns | {' | '.join(map(str, range(depth + 1)))} |")
    print("|---|" + "---:|" * (depth + 1))
    for threshold in (0.25, 0.1):
        values = np.zeros((len(images), depth + 1))
        for row, image in enumerate(images.values()):
            data = codec.compress(image, threshold)
            for turns in range(depth + 1):
                error = codec.decompress(data, turns).double() - image.double()
                values[row, turns] = 10 * np.log10(255**2 / float(error.square().mean()))
        falls = int((np.diff(values, axis=1) < -1e-9).sum())
        means = " | ".join(f"{mean:.2f}" for mean in values.mean(axis=0))
        worst = float(np.diff(values, axis=1).min())
        print(f"| {threshold} | {means} |  {falls} falls, worst {worst:+.3f} dB")


def measure_large(codec: Codec, images: list[torch.Tensor], megapixels: float) -> None:
    """Put photographs side by side until there are enough pixels."""
    side = int((megapixels * 1e6) ** 0.5)
    small = [image[:, :512, :512] for image in images]
    count = -(-side // 512)
    rows = [
        torch.cat([small[(row * 3 + column) % len(small)] for column in range(count)], dim=2)
        for row in range(count)
    ]
    image = torch.cat(rows, dim=1)[:, :side, :side].contiguous()
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start_s = time.perf_counter()
    data = codec.compress(image, 0.25)
    middle_s = time.perf_counter()
    decoded = codec.decompress(data)
    end_s = time.perf_counter()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{side} x {side}: {len(data)} bytes, compress {middle_s - start_s:.1f} s, decompress "
        f"{end_s - middle_s:.1f} s, peak {peak_mb:.0f} MiB ({before_mb:.0f} before)"
    )
    if codec.tables is not None:
        start_s = time.perf_counter()
        data_of_search = codec.compress(image, 0.25, stop="in_context", bound=False)
        took_s = time.perf_counter() - start_s
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"with a look and a search, no bound: {len(data_of_search)} bytes, compress "
            f"{took_s:.1f} s, peak {peak_mb:.0f} MiB"
        )
    sites, size = codec.decode_sites(data), (side, side)
    whole = paint_in_tiles(codec.tokenizer, sites.for_decoder(), size, side=1 << 20)
    difference = (whole.int() - decoded.int()).abs()
    print(
        f"tiles against the whole: {int((difference > 0).sum())} of {difference.numel()} levels "
        f"differ, by at most {int(difference.max())}"
    )
    whole_latents = latents_in_tiles(codec.tokenizer, image, side=1 << 20)
    apart = (whole_latents - latents_in_tiles(codec.tokenizer, image)).abs().max()
    print(f"latents: at most {float(apart):.2e} apart")


if __name__ == "__main__":
    main()
