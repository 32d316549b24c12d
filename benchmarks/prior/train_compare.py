"""Train the same prior over loopy, fixed-depth and plain VQ tokens, for equal processor time.

    tokenizers (trained alike, unless they are there) -> shards -> priors -> one table

What is compared: bits per pixel of images that the prior has not seen, beside how well the tokens
reconstruct them: a prior over worse reconstructions has fewer bits to tell. The loop is given the
mean length of the fixed depth, and once more that of plain VQ (one token per site).

    python benchmarks/prior/train_compare.py --config configs/fashion_mnist.yaml \\
        --data fashion-mnist/train-images-idx3-ubyte.gz --out runs/prior_fashion
"""

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

from loopyvq.checkpoint import load_prior, load_tokenizer_of, prior_source
from loopyvq.cli.main import main as loopyvq
from loopyvq.config import parse_config, read_yaml
from loopyvq.data import open_image_set, to_uint8
from loopyvq.data.token_draws import split_rows
from loopyvq.data.token_shards import open_token_shards
from loopyvq.metrics.distortion import measure_distortion
from loopyvq.tensor_file import read_tensors
from loopyvq.training import PriorTrainingConfig, loop, train_prior
from loopyvq.training.prior_task import nats_of

_FIXED = "--tokenizer.quantizer.threshold 0 --tokenizer.quantizer.dummies false --rate_weight 0"
TOKENIZERS = {
    "loop": "",
    "fixed_depth": f"{_FIXED} --budget.kind depth --budget.low 1",
    "plain_vq": f"{_FIXED} --tokenizer.quantizer.max_depth 1 --budget.kind full "
    "--tokenizer.quantizer.learn_gains false",
}
"""How the other tokenizers differ from the config; networks, codes, steps and losses are equal."""


@dataclass(frozen=True)
class Entry:
    """One line of the table."""

    name: str
    tokenizer: str
    stop: tuple[str, str]


def entries(length: float) -> list[Entry]:
    whole = max(1, round(length))
    return [
        Entry(f"loop_{length:g}", "loop", ("--mean-length", f"{length:g}")),
        Entry(f"fixed_depth_{whole}", "fixed_depth", ("--depth", str(whole))),
        Entry("plain_vq", "plain_vq", ("--depth", "1")),
        Entry("loop_1", "loop", ("--mean-length", "1")),
    ]


def run(*words: object) -> None:
    if code := loopyvq([str(word) for word in words]):
        raise SystemExit(code)


def train_tokenizers(arguments: argparse.Namespace) -> None:
    for name, options in TOKENIZERS.items():
        folder = arguments.tokenizers / name
        if (folder / "state.safetensors").is_file():
            run("train", "tokenizer", "--resume", folder, "--quiet")
        elif not (folder / "best.safetensors").is_file():
            words = (arguments.config, "--data", arguments.data, "--out", folder, "--quiet")
            run("train", "tokenizer", *words, *options.split())


def make_shards(arguments: argparse.Namespace, entry: Entry) -> Path:
    folder = arguments.out / "shards" / entry.name
    run("pretokenize", arguments.tokenizers / entry.tokenizer, "--data", arguments.data, "--out",
        folder, "--condition", "class", *entry.stop)  # fmt: skip
    return folder


def train(arguments: argparse.Namespace, entry: Entry, shards: Path) -> dict[str, float]:
    """Train one prior; the clock of the loop is that of this process, not of the machine."""
    config = parse_config(PriorTrainingConfig, read_yaml(arguments.prior))
    limits = replace(
        config.run, time_limit_s=arguments.seconds, steps=20000, tensorboard=False,
        accelerator=arguments.accelerator, precision=arguments.precision,
    )  # fmt: skip
    clock = time.process_time if arguments.accelerator == "cpu" else time.monotonic
    loop.time = SimpleNamespace(monotonic=clock)
    folder = arguments.out / "priors" / entry.name
    resume = (folder / "state.safetensors").is_file()
    train_prior(replace(config, run=limits), shards, folder, resume=resume, quiet=True)
    header = read_tensors(folder / "state.safetensors", "training state").header
    return {"seconds": header["elapsed_s"], "steps": header["step"]}


def measure(arguments: argparse.Namespace, entry: Entry, shards_path: Path) -> dict[str, object]:
    """Measure bits of unseen images, and how well their tokens reconstruct them."""
    folder = arguments.out / "priors" / entry.name
    prior, source = load_prior(folder), prior_source(folder)
    shards = open_token_shards(shards_path)
    rows = split_rows(shards, PriorTrainingConfig().validation_share)[1][: arguments.images]
    found = nats_of(prior, shards.packed, source, 64, rows)
    tokenizer = load_tokenizer_of(folder)
    images = open_image_set(arguments.data, channels=tokenizer.config.image_channels)
    psnr = []
    for row in rows.tolist():
        tokens = shards.packed.select([row]).tokens
        painted = to_uint8(
            tokenizer.decode(tokens, source.threshold, (source.height, source.width))[0]
        )
        psnr.append(measure_distortion(painted, images.read(int(shards.numbers[row]))).psnr_db)
    return {
        "name": entry.name,
        "tokens_per_site": found.num_tokens / found.num_sites,
        **found.values(),
        "psnr_db": sum(psnr) / len(psnr),
        "images": len(rows),
        "parameters": sum(item.numel() for item in prior.parameters()),
    }


def table(results: list[dict]) -> str:
    lines = [
        "| tokens | per site | bits per pixel | codes | lengths | nats per token | "
        "reconstruction PSNR | steps | parameters |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for item in results:
        lines.append(
            f"| {item['name']} | {item['tokens_per_site']:.2f} | {item['rate_bpp']:.4f} | "
            f"{item['code_bpp']:.4f} | {item['stop_bpp']:.4f} | {item['nats_per_token']:.3f} | "
            f"{item['psnr_db']:.2f} dB | {item['steps']} | {item['parameters']:,} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="configs/fashion_mnist.yaml", help="of the tokenizers")
    parser.add_argument("--prior", default="configs/prior_small.yaml", help="config of the prior")
    parser.add_argument("--data", required=True, help="images in classes")
    parser.add_argument("--out", type=Path, default=Path("runs/prior_compare"))
    parser.add_argument("--tokenizers", type=Path, help="default: OUT/tokenizers")
    parser.add_argument("--seconds", type=float, default=300.0, help="processor time per prior")
    parser.add_argument("--length", type=float, default=2.0, help="mean tokens per site")
    parser.add_argument("--images", type=int, default=1000, help="held-out images to measure on")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these lines")
    parser.add_argument("--accelerator", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--precision", default="32-true")
    arguments = parser.parse_args()
    arguments.tokenizers = arguments.tokenizers or arguments.out / "tokenizers"
    train_tokenizers(arguments)
    path = arguments.out / "results.json"
    found = json.loads(path.read_text()) if path.is_file() else []
    results = {item["name"]: item for item in found}
    for entry in entries(arguments.length):
        if arguments.only and entry.name not in arguments.only:
            continue
        shards = make_shards(arguments, entry)
        trained = train(arguments, entry, shards)
        results[entry.name] = {**measure(arguments, entry, shards), **trained}
        path.write_text(json.dumps(list(results.values()), indent=2) + "\n")
        print(table(list(results.values())), flush=True)


if __name__ == "__main__":
    main()
