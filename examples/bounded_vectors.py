"""Compress 100,000 real vectors with a bound on the error of every one.

    python examples/bounded_vectors.py IMAGES [--bound 0.25]

The vectors are 4x4 patches of grey pixels from a folder or an archive of images. A codebook is
fitted to them, each patch gets as many codes as it needs, the codes are packed into bytes, and what
is unpacked and decoded is compared with the bound, patch by patch. Patches that the loop leaves
outside (it says which) are stored as they are.
"""

import argparse
import time

import torch

from loopyvq import LoopConfig, LoopQuantizer
from loopyvq.coding import decode_tokens, encode_tokens
from loopyvq.data import open_image_set, to_float
from loopyvq.tokens import Tokens

SIDE, COUNT = 4, 100_000
SIZE, DEPTH, GAIN_RATIO = 1024, 64, 0.9


def patches(path: str) -> torch.Tensor:
    """Cut patches from image after image, values in [0, 1], in an order that mixes the images."""
    images, found, count = open_image_set(path, channels=1), [], 0
    for index in range(len(images)):
        pixels = (to_float(images.read(index))[0] + 1) / 2
        height, width = (side // SIDE * SIDE for side in pixels.shape)
        cut = pixels[:height, :width].reshape(height // SIDE, SIDE, width // SIDE, SIDE)
        found.append(cut.transpose(1, 2).reshape(-1, SIDE * SIDE))
        count += len(found[-1])
        if count >= 2 * COUNT:
            break
    vectors = torch.cat(found)
    order = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(0))
    return vectors[order[:COUNT]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images")
    parser.add_argument("--bound", type=float, default=0.2, help="largest error of a patch")
    arguments = parser.parse_args()
    vectors = patches(arguments.images)
    # Gains that fall slowly, and turns enough for the smallest of them to be far below the bound.
    config = LoopConfig(
        codebook_size=SIZE,
        codebook_dim=SIDE * SIDE,
        max_depth=DEPTH,
        scale="absolute",
        gain_ratio=GAIN_RATIO,
        learn_gains=False,
    )
    began = time.perf_counter()
    quantizer = LoopQuantizer.fit(vectors[:20_000], config)
    fitted = time.perf_counter()
    tokens = quantizer.encode(vectors, threshold=arguments.bound)
    encoded = time.perf_counter()
    pieces = encode_tokens(tokens.codes.numpy(), tokens.lengths.numpy(), SIZE, mode="adaptive")
    read = decode_tokens(pieces, (len(vectors),), config.max_depth, SIZE, mode="adaptive")
    decoded = quantizer.decode(Tokens(*(torch.from_numpy(part).long() for part in read)))
    outside = ~quantizer(vectors, threshold=arguments.bound).converged
    decoded[outside] = vectors[outside]
    error = (vectors.double() - decoded.double()).norm(dim=1)
    coded, raw = sum(map(len, pieces)), 4 * SIDE**2 * int(outside.sum())
    lengths = tokens.lengths.double()
    within = float((error <= arguments.bound).double().mean())
    psnr_db = float(-10 * (error.square().mean() / SIDE**2).log10())
    print(f"{len(vectors)} vectors of width {SIDE**2}, {SIZE} codes")
    print(f"fitting {fitted - began:.1f} s, encoding {encoded - fitted:.2f} s")
    print(f"codes per vector: mean {lengths.mean():.2f}, most {int(lengths.max())}")
    print(
        f"{coded + raw} bytes ({raw} of them raw), {8 * (coded + raw) / len(vectors):.1f} bits each"
    )
    print(f"largest error {error.max():.6f}, within {arguments.bound}: {within:.3%}")
    print(f"PSNR {psnr_db:.2f} dB")


if __name__ == "__main__":
    main()
