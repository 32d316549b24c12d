"""Variable length against fixed depth against plain VQ: same network, steps, data and seed.

    python benchmarks/tokenizer.py --data caltech101.zip --test kodak.zip

Trains the three presets one after the other (a run that is already in the output folder is not
repeated, an interrupted one is resumed), evaluates each on the test images and prints the tables
of docs/experiments.md. Bits are the estimates of `loopyvq evaluate`, stop bits counted.
"""

import argparse
import json
import time
from pathlib import Path

from loopyvq.checkpoint import load_tokenizer
from loopyvq.config import parse_config, read_yaml
from loopyvq.data import open_image_set
from loopyvq.evaluation import Evaluation, default_points, evaluate, points_at_depths
from loopyvq.evaluation.rd_curves import value_at
from loopyvq.evaluation.tables import format_points, format_usage, to_json
from loopyvq.tensor_file import write_atomically
from loopyvq.training import TokenizerTrainingConfig, train_tokenizer
from loopyvq.training.run_folder import saved_config

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
SCHEMES = {
    "loop": "small.yaml",
    "fixed depth": "small_fixed_depth.yaml",
    "plain VQ": "small_plain_vq.yaml",
}
# How the loop's checkpoint is read: stop rule, least number of tokens of a site, at fixed depths.
DEPTHS = (1, 2, 3, 4, 6, 8)
READINGS = {
    "loop, threshold stop": ("threshold", 0, False),
    "loop, rate-distortion stop": ("rate_distortion", 1, False),
    "loop at fixed depths": ("threshold", 0, True),
}


def trained(scheme: str, config_file: str, data: str, out: Path, words: list[str]) -> Path:
    """Train one scheme, or take what is there."""
    folder = out / scheme.replace(" ", "_")
    config = parse_config(TokenizerTrainingConfig, read_yaml(CONFIGS / config_file), words)
    if (folder / "cpu_s.json").is_file():
        return folder
    resume = (folder / "state.safetensors").is_file()
    if resume:
        config, data = saved_config(folder, TokenizerTrainingConfig)
    started, cpu = time.monotonic(), time.process_time()
    train_tokenizer(config, data, folder, resume=resume)
    spent = {"elapsed_s": time.monotonic() - started, "cpu_s": time.process_time() - cpu}
    write_atomically(folder / "cpu_s.json", json.dumps(spent).encode())
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="training images")
    parser.add_argument("--test", required=True, help="test images")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-tokenizer"))
    parser.add_argument("--only", nargs="+", choices=SCHEMES, default=list(SCHEMES))
    arguments, words = parser.parse_known_args()
    results: dict[str, Evaluation] = {}
    for scheme in arguments.only:
        folder = trained(scheme, SCHEMES[scheme], arguments.data, arguments.out, words)
        tokenizer = load_tokenizer(folder)
        images = open_image_set(arguments.test, channels=tokenizer.config.image_channels)
        spent = json.loads((folder / "cpu_s.json").read_text())
        readings = READINGS if scheme == "loop" else {scheme: ("threshold", 0, False)}
        for name, (rule, least, at_depths) in readings.items():
            tokenizer.quantizer.stop, tokenizer.quantizer.min_length = rule, least
            tokenizer.quantizer.token_price = 1.0
            points = points_at_depths(tokenizer, DEPTHS) if at_depths else default_points(tokenizer)
            results[name] = evaluate(tokenizer, images.images(), points)
            file = folder / f"{name.replace(', ', '_').replace(' ', '_')}.json"
            write_atomically(file, to_json(results[name]).encode())
            report(name, spent["cpu_s"], results[name])
    compare(results)


def report(name: str, cpu_s: float, result: Evaluation) -> None:
    """Print one scheme's tables."""
    points = result.points
    spread = points[0].spread_of_energies
    print(f"\n## {name}: {cpu_s / 60:.0f} CPU minutes of training, std(log |z|) {spread:.2f}\n")
    print(format_points(points))
    print(f"\n{format_usage(points[len(points) // 2])}", flush=True)


def compare(results: dict[str, Evaluation]) -> None:
    """Print the loop's PSNR beside the fixed depth's at the same bits."""
    if "fixed depth" not in results or len(results) == 1:
        return
    print("\n## At equal estimated bits\n")
    print("| scheme | bits/pixel | PSNR dB | fixed depth | gain dB |\n|---|---:|---:|---:|---:|")
    curve = [(point.rate_bpp, point.psnr_db) for point in results["fixed depth"].points]
    for name, result in results.items():
        if name == "fixed depth":
            continue
        for point in result.points:
            other = value_at(curve, point.rate_bpp)
            shown, gain = "outside", ""
            if other is not None:
                shown, gain = f"{other:.2f}", f"{point.psnr_db - other:+.2f}"
            print(f"| {name} | {point.rate_bpp:.3f} | {point.psnr_db:.2f} | {shown} | {gain} |")


if __name__ == "__main__":
    main()
