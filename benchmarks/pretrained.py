"""Make a model that comes with the package from a trained one.

    loopyvq train tokenizer configs/small.yaml --data photos.zip --out runs/photo-f8 --tables 0
    loopyvq tables runs/photo-f8 --data photos.zip --limit 2993 --examples 1500000 --wide
    python benchmarks/pretrained.py photo-f8 --model runs/photo-f8 --test kodak.zip

Rounds the weights to bfloat16, drops what only training needs and writes the file that `loopyvq
models` lists, with the entropy tables of the model; then prints what its files are like, for its
card.
"""

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from loopyvq.checkpoint import load_tokenizer
from loopyvq.codec import Codec, load_tables, save_tables
from loopyvq.config import config_to_dict
from loopyvq.data import ImageSet, open_image_set
from loopyvq.metrics.distortion import measure_distortion
from loopyvq.pretrained import PRETRAINED
from loopyvq.tensor_file import write_tensors

THRESHOLDS = (0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05)
STOP = "in_context"


def rounded(model: Path, path: Path) -> None:
    """Write a tokenizer with the weights of its networks in bfloat16."""
    tokenizer = load_tokenizer(model)
    tensors = {
        name: item.to(torch.bfloat16) if is_of_networks(name, item) else item
        for name, item in tokenizer.state_dict().items()
    }
    header = {"architecture": tokenizer.architecture, "config": config_to_dict(tokenizer.config)}
    write_tensors(path, "tokenizer", tensors, **header, notes={})


def is_of_networks(name: str, item: torch.Tensor) -> bool:
    return item.dtype == torch.float32 and not name.startswith("quantizer.")


def report(path: Path, images: ImageSet, limit: int | None) -> None:
    """Print real sizes and distortions, means over images."""
    codec = Codec.load(path)
    print("| threshold | bits/pixel | PSNR dB | SSIM | MS-SSIM |\n|---:|---:|---:|---:|---:|")
    for threshold in THRESHOLDS:
        rows = []
        for _, image in islice(images.images(), limit):
            data = codec.compress(image, threshold, stop=STOP, bound=False)
            found = measure_distortion(codec.decompress(data), image)
            rate = 8 * len(data) / (image.shape[1] * image.shape[2])
            rows.append((rate, found.psnr_db, found.ssim, found.ms_ssim))
        rate, psnr, ssim, ms_ssim = np.mean(rows, axis=0)
        print(f"| {threshold} | {rate:.3f} | {psnr:.2f} | {ssim:.3f} | {ms_ssim:.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=PRETRAINED)
    parser.add_argument(
        "--model", type=Path, required=True, help="the trained tokenizer, with tables"
    )
    parser.add_argument("--test", help="images to measure")
    parser.add_argument("--test-limit", type=int, metavar="N", help="measure the first N images")
    options = parser.parse_args()
    path = PRETRAINED[options.name].weights
    tables = load_tables(options.model)
    if tables is None:
        parser.error(f"{options.model} has no tables: make them with loopyvq tables")
    rounded(options.model, path)
    save_tables(path, tables)
    print(f"{path.name}: {path.stat().st_size:,} bytes")
    if options.test:
        report(path, open_image_set(options.test), options.test_limit)


if __name__ == "__main__":
    main()
