"""How many symbols each spelling needs for the same image.

    python benchmarks/spellings.py MODEL IMAGE --threshold 0.16

The columns are the loop's tokens of a trained tokenizer, and those of a pull whose codebook is
fitted to the same latents (512 codes, step size 0.3, up to 8 turns).
"""

import argparse
from dataclasses import replace

import torch

from loopyvq import LoopQuantizer, load_tokenizer, spell
from loopyvq.data import open_image_set, to_float
from loopyvq.spelling import SPELLINGS
from loopyvq.tokens import CONTINUE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("image")
    parser.add_argument("--threshold", type=float, default=0.16)
    arguments = parser.parse_args()
    tokenizer = load_tokenizer(arguments.model)
    config = tokenizer.config.quantizer
    images = open_image_set(arguments.image, channels=tokenizer.config.image_channels)
    with torch.no_grad():
        latents = tokenizer.latents(to_float(images.read(0)).unsqueeze(0))
    pull = LoopQuantizer.fit(
        latents.flatten(0, 2), replace(config, transform="pull", step_size=0.3, stop="threshold")
    )
    columns = {
        "loop": tokenizer.quantizer.encode(latents, arguments.threshold),
        "pull": pull.encode(latents, arguments.threshold),
    }
    print(f"| spelling | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
    for spelling in SPELLINGS:
        counts = [len(spell(tokens, spelling, config.codebook_size)) for tokens in columns.values()]
        print(f"| `{spelling}` | {' | '.join(f'{count:,}' for count in counts)} |")
    padded = [tokens.codes.numel() for tokens in columns.values()]
    print(f"| padded to `max_depth` | {' | '.join(f'{count:,}' for count in padded)} |")
    for name, (codes, lengths) in columns.items():
        dummies = int((codes == CONTINUE).sum())
        print(f"\n{name}: {lengths.numel():,} sites, {int(lengths.sum()):,} tokens, {dummies:,} D")


if __name__ == "__main__":
    main()
