"""Compress a photograph with the model in the box, and as a JPEG of as many bytes; show both.

    python examples/beside_jpeg.py [IMAGE] [--threshold 0.15] [--out beside_jpeg.png]

Without an image it takes one that comes with scikit-image. The picture shows, from left to right:
the original, our file, the JPEG (the best that is no larger, or the smallest there is), and how
many tokens each site has, from none (dark) to the most that one has (yellow).
"""

import argparse
from pathlib import Path

from loopyvq import Codec
from loopyvq.data import decode_image, open_image_set, to_pil
from loopyvq.evaluation.equal_bytes import fitting_files
from loopyvq.metrics.distortion import measure_distortion
from loopyvq.pictures import length_map, sheet


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
    jpeg = fitting_files("jpeg", image, [len(data)])[0].data
    sites = codec.decode_sites(data)
    shown = {"loopyvq": (data, codec.paint(sites)), "JPEG": (jpeg, decode_image(jpeg, "JPEG"))}
    for name, (file, decoded) in shown.items():
        found = measure_distortion(decoded, image)
        print(f"{name}: {len(file)} bytes, {found.psnr_db:.2f} dB, MS-SSIM {found.ms_ssim:.3f}")
    lengths = sites.tokens.lengths
    most, factor = int(lengths.max()), codec.tokenizer.config.downsampling
    print(f"{lengths.double().mean():.2f} tokens at a site, {most} at most")
    where = length_map(lengths, most, factor)
    where = where[:, : image.shape[1], : image.shape[2]]
    row = [image, *(decoded for _, decoded in shown.values()), where]
    to_pil(sheet([row])).save(options.out)
    print(options.out)


if __name__ == "__main__":
    main()
