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
from torch import Tensor, nn
from torch.nn import functional as F

from loopyvq.checkpoint import load_tokenizer
from loopyvq.config import parse_config, read_yaml
from loopyvq.data import ImageSet, open_image_set, split, to_float, to_pil, to_uint8
from loopyvq.models import Tokenizer
from loopyvq.pictures import sheet
from loopyvq.training import VqganTrainingConfig, train_vqgan
from loopyvq.training.budget import fixed_budget

LENGTHS = (1.0, 2.0, 3.0)
PIXELS_ALONE = ("--adversarial.start_step", "100000000", "--adversarial.lead_steps", "0")


class Classifier(nn.Module):
    """Three halvings, then the mean over all places."""

    def __init__(self, num_classes: int, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for after in (width, 2 * width, 4 * width, 4 * width):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
            before = after
        self.trunk, self.head = nn.Sequential(*layers), nn.Linear(before, num_classes)

    def features(self, images: Tensor) -> Tensor:
        return self.trunk(images).mean(dim=(2, 3))


def load(images: ImageSet) -> tuple[Tensor, Tensor]:
    pixels = torch.stack([to_float(images.read(index)) for index in range(len(images))])
    return pixels, torch.tensor([images.label(index) for index in range(len(images))])


def train_classifier(pixels: Tensor, labels: Tensor, steps: int) -> Classifier:
    torch.manual_seed(0)
    model = Classifier(int(labels.max()) + 1)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
    for _ in range(steps):
        chosen = torch.randint(len(pixels), (64,))
        batch = pixels[chosen]
        batch = batch.flip(3) if torch.rand(()) < 0.5 else batch
        optimizer.zero_grad()
        F.cross_entropy(model.head(model.features(batch)), labels[chosen]).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def frechet(ours: Tensor, theirs: Tensor) -> float:
    ours, theirs = ours.double(), theirs.double()
    apart = (ours.mean(0) - theirs.mean(0)).square().sum()
    first, second = ours.T.cov(), theirs.T.cov()
    root = torch.linalg.eigvals(first @ second).real.clamp(min=0).sqrt().sum()
    return float(apart + first.trace() + second.trace() - 2 * root)


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
    pixels, labels = load(held_out)
    classifier = train_classifier(*load(training), arguments.classifier_steps)
    with torch.no_grad():
        wanted = classifier.features(pixels)
        right = (classifier.head(wanted).argmax(1) == labels).float().mean()
    print(f"classifier: {right:.3f} right on {len(pixels)} held-out images")
    rows, pictures = [], [[to_uint8(image) for image in pixels[:8]]]
    for name in runs:
        tokenizer = load_tokenizer(arguments.out / name / "last.safetensors")
        for length in LENGTHS:
            found, mean_length = reconstruct(tokenizer, config, pixels, length)
            with torch.no_grad():
                distance = frechet(classifier.features(found), wanted)
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
