"""What codes of few entries leave after so many turns, beside full codes.

    python benchmarks/supports.py --data caltech101.zip

Latents are the largest frequencies of 8 x 8 patches, as an untrained tokenizer with a linear path
gives them; codebooks are fitted to half of the images and measured on the other half.
"""

import argparse

import torch
from torch import Tensor

from loopyvq import LoopConfig, LoopQuantizer
from loopyvq.data import open_image_set, to_float
from loopyvq.models.linear_path import linear_analysis

SUPPORTS = {"full": (), "2, 4, 8 and 16 entries": (2, 4, 8, 16), "2 entries": (2,)}
TURNS = (1, 2, 4, 8, 16)
PATCHES = 200


@torch.no_grad()
def latents_of(path: str, limit: int, width: int) -> Tensor:
    """Give latents of some patches of each image, image after image."""
    images, analysis = open_image_set(path, channels=3), linear_analysis(3, 8, width)
    generator, found = torch.Generator().manual_seed(0), []
    for index in range(0, len(images), max(1, len(images) // limit)):
        sites = analysis(to_float(images.read(index)).unsqueeze(0))[0].flatten(1).T
        found.append(sites[torch.randperm(len(sites), generator=generator)[:PATCHES]])
    return torch.cat(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--limit", type=int, default=200, metavar="N", help="images to use")
    parser.add_argument("--codes", type=int, default=640)
    parser.add_argument("--width", type=int, default=48)
    arguments = parser.parse_args()
    latents = latents_of(arguments.data, arguments.limit, arguments.width)
    fitted, test = latents.chunk(2)
    order = torch.randperm(len(fitted), generator=torch.Generator().manual_seed(0))
    print(f"| codes | {' | '.join(f'{turn} turns' for turn in TURNS)} |")
    print("|---|" + "---:|" * len(TURNS))
    for name, supports in SUPPORTS.items():
        config = LoopConfig(arguments.codes, arguments.width, supports, max_depth=max(TURNS))
        quantizer = LoopQuantizer.fit(fitted[order], config)
        errors = [
            float(quantizer(test, 0.0, depth=turn).residual_norm.square().mean()) for turn in TURNS
        ]
        print(f"| {name} | {' | '.join(f'{error:.4f}' for error in errors)} |", flush=True)


if __name__ == "__main__":
    main()
