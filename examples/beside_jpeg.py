"""Compress a photograph with the model in the box, and as a JPEG of as many bytes; show both.

    python examples/beside_jpeg.py [IMAGE] [--threshold 0.15] [--out beside_jpeg.png]

Without an image it takes one that comes with scikit-image. The picture shows, from left to right:
the original, our file, the JPEG (the best that is no larger, or the smallest there is), and how
many tokens each site has.
"""

import argparse
import io
from pathlib import Path

import torch
from PIL import Image

from loopyvq import Codec
from loopyvq.data import open_image_set, to_pil
from loopyvq.metrics.distortion import measure_distortion
from loopyvq.pictures import length_map, sheet


def best_jpeg(image: torch.Tensor, num_bytes: int) -> bytes:
    """Write the best JPEG of at most so many bytes; if there is none, the smallest."""
    files = []
    for quality in range(1, 96):
        stream = io.BytesIO()
        to_pil(image).save(stream, "JPEG", quality=quality, optimize=True)
        files.append(stream.getvalue())
    fitting = [data for data in files if len(data) <= num_bytes]
    return fitting[-1] if fitting else min(files, key=len)


def pixels(data: bytes) -> torch.Tensor:
    with Image.open(io.BytesIO(data)) as picture:
        flat = torch.frombuffer(bytearray(picture.convert("RGB").tobytes()), dtype=torch.uint8)
        return flat.reshape(picture.height, picture.width, 3).permute(2, 0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", nargs="?", default="samples")
    parser.add_argument("--threshold", type=float, default=0.15)
    parser.add_argument("--out", type=Path, default=Path("beside_jpeg.png"))
    options = parser.parse_args()
    images = open_image_set(options.image)
    image = images.read(2 if options.image == "samples" else 0)
    codec = Codec.load("photo-f8")
    data = codec.compress(image, options.threshold, stop="in_context", bound=False)
    jpeg = best_jpeg(image, len(data))
    shown = {"loopyvq": (data, codec.decompress(data)), "JPEG": (jpeg, pixels(jpeg))}
    for name, (file, decoded) in shown.items():
        found = measure_distortion(decoded, image)
        print(f"{name}: {len(file)} bytes, {found.psnr_db:.2f} dB, MS-SSIM {found.ms_ssim:.3f}")
    lengths = codec.decode_sites(data).tokens.lengths
    quantizer = codec.tokenizer.quantizer
    where = length_map(lengths, quantizer.max_depth, codec.tokenizer.config.downsampling)
    where = where[:, : image.shape[1], : image.shape[2]]
    row = [image, *(decoded for _, decoded in shown.values()), where]
    to_pil(sheet([row])).save(options.out)
    print(options.out)


if __name__ == "__main__":
    main()
