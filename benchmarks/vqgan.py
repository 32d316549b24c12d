"""Train the same tokenizer with pixels alone and against a discriminator, at the same steps.

    python benchmarks/vqgan.py --data eurosat_rgb.zip --out runs/vqgan --steps 600

Measured on held-out images, at a few mean lengths: PSNR, sharpness (mean gradient of the
reconstructions over that of the images; 1 is as sharp) and a Frechet distance in the features of
a small classifier trained here on the same set. The last is not FID: no number of it compares with
any other classifier's.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from torch import Tensor

from loopyvq.checkpoint import load_tokenizer
from loopyvq.config import parse_config, read_yaml
from loopyvq.data import open_image_set, split, to_float, to_pil, to_uint8
from loopyvq.evaluation.classifier import ClassifierConfig, features_of
from loopyvq.evaluation.classifier_training import load_images, share_right, train_classifier
from loopyvq.metrics.frechet import frechet_distance
from loopyvq.models import Tokenizer
from loopyvq.pictures import sheet
from loopyvq.training import VqganTrainingConfig, train_vqgan
from loopyvq.training.budget import fixed_budget

LENGTHS = (1.0, 2.0, 3.0)
PIXELS_ALONE = ("--adversarial.start_step", "100000000", "--adversarial.lead_steps", "0")


def sharpness(images: Tensor) -> float:
    return float(images.diff(dim=2).abs().mean() + images.diff(dim=3).abs().mean())


@torch.no_grad()
def reconstruct(tokenizer: Tokenizer, config: VqganTrainingConfig, pixels: Tensor, length: float):
    images, counts = [], []
    for batch in pixels.split(50):
        budget = fixed_budget(config.budget, tokenizer.quantizer, len(batch), length)
        tokens = tokenizer.encode(batch, budget.threshold, budget.depth)
        images.append(tokenizer.decode(tokens, budget.threshold, tuple(batch.shape[2:])))
        counts.append(tokens.lengths.float().mean())
    return torch.cat(images), float(torch.stack(counts).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", default="configs/vqgan_small.yaml")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--held-out", type=int, default=1000)
    parser.add_argument("--classifier-steps", type=int, default=400)
    arguments, words = parser.parse_known_args()
    training, held_out = split(open_image_set(arguments.data), arguments.held_out, seed=1)
    words += ["--run.steps", str(arguments.steps), "--run.validate_every", str(arguments.steps)]
    words += ["--num_validation", "8", "--run.tensorboard", "false"]
    runs = {"pixels": PIXELS_ALONE, "gan": ()}
    for name, more in runs.items():
        config = parse_config(VqganTrainingConfig, read_yaml(arguments.config), [*words, *more])
        if not (arguments.out / name / "last.safetensors").is_file():
            started = time.monotonic()
            train_vqgan(config, training, arguments.out / name)
            print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
    shown = load_images(held_out)
    names = ClassifierConfig(Path(arguments.data).stem, class_names=training.class_names)
    classifier = train_classifier(load_images(training), names, steps=arguments.classifier_steps)
    right = share_right(classifier, shown)
    print(f"{classifier.name}: {right:.3f} right on {len(shown.pixels)} held-out images")
    pixels, wanted = to_float(shown.pixels), features_of(classifier, shown.pixels)
    rows, pictures = [], [list(shown.pixels[:8])]
    for name in runs:
        tokenizer = load_tokenizer(arguments.out / name / "last.safetensors")
        for length in LENGTHS:
            found, mean_length = reconstruct(tokenizer, config, pixels, length)
            distance = frechet_distance(features_of(classifier, to_uint8(found)), wanted)
            error = (found - pixels).square().mean(dim=(1, 2, 3))
            row = {
                "run": name,
                "mean_length": round(mean_length, 2),
                "psnr_db": round(float((10 * (4 / error).log10()).mean()), 2),
                "sharpness": round(sharpness(found) / sharpness(pixels), 3),
                "frechet": round(distance, 4),
            }
            print(json.dumps(row), flush=True)
            rows.append(row)
            if length == LENGTHS[-1]:
                pictures.append([to_uint8(image) for image in found[:8]])
    (arguments.out / "result.json").write_text(json.dumps(rows, indent=1))
    to_pil(sheet(pictures)).save(arguments.out / "grid.png")


if __name__ == "__main__":
    main()
