"""Draw what happened in runs of benchmarks/vqgan.py, pixels alone and with the GAN, as one picture.

python benchmarks/vqgan_curves.py EuroSAT=runs/eurosat CIFAR-10=runs/cifar --out curves.png
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.ticker import NullFormatter
from PIL import Image

PANELS = (
    ("psnr_db", "PSNR of the batch, dB"),
    ("discriminator_accuracy", "discriminator accuracy"),
    ("logits", "mean logits"),
    ("adversarial_weight", "weight of the game"),
    ("gradient_norm", "gradient norm"),
)
WINDOW = 5  # measurements that are averaged


def read(run: Path) -> list[dict]:
    """Give what was measured in training, without validations."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "loss" in line]


def draw(axes, lines: list[dict], name: str, **style) -> None:
    """Draw a value as the mean over a few measurements."""
    steps = [line["step"] for line in lines if name in line]
    values = [line[name] for line in lines if name in line]
    means = [
        sum(values[max(0, end - WINDOW) : end]) / min(end, WINDOW)
        for end in range(1, len(values) + 1)
    ]
    axes.plot(steps, means, linewidth=1.2, **style)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    sets = [word.partition("=")[::2] for word in arguments.runs]
    size = (2.5 * len(PANELS), 2.1 * len(sets))
    figure, rows = pyplot.subplots(len(sets), len(PANELS), figsize=size, squeeze=False)
    for row, (name, folder) in zip(rows, sets, strict=True):
        config = json.loads((Path(folder) / "gan/config.json").read_text())["config"]
        start = config["adversarial"]["start_step"]
        pixels, gan = read(Path(folder) / "pixels"), read(Path(folder) / "gan")
        for axes, (value, title) in zip(row, PANELS, strict=True):
            axes.set_title(title, fontsize=8)
            axes.axvline(start, color="0.6", linewidth=0.8, linestyle=":")
            if value == "logits":
                draw(axes, gan, "real_logit", color="tab:green", label="images")
                draw(axes, gan, "fake_logit", color="tab:red", label="reconstructions")
            else:
                draw(axes, gan, value, color="tab:blue", label="with the GAN")
            if value in ("psnr_db", "gradient_norm"):
                draw(axes, pixels, value, color="tab:orange", label="L1 alone")
            if value == "gradient_norm":
                axes.set_yscale("log")
                axes.yaxis.set_minor_formatter(NullFormatter())
            axes.tick_params(labelsize=6)
            if value in ("psnr_db", "logits"):
                axes.legend(fontsize=6, frameon=False)
        row[0].set_ylabel(name, fontsize=8)
    figure.tight_layout(pad=0.5)
    figure.savefig(arguments.out, dpi=90)
    with Image.open(arguments.out) as picture:
        few = picture.convert("RGB").quantize(24)  # lines need few colours: a third of the bytes
    few.save(arguments.out, optimize=True)


if __name__ == "__main__":
    main()
