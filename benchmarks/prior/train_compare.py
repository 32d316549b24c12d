"""Train the same prior over loopy, fixed-depth and plain VQ tokens, for equal processor time.

    tokenizers (trained alike, unless they are there) -> shards -> priors -> samples -> one table

What is compared: bits per pixel of images that the prior has not seen, and how far samples are from
real images (Frechet distance in the features of one small classifier), beside how well the tokens
alone reconstruct images: a prior over worse reconstructions has fewer bits to tell. So the loop
stands in the table several times: at the others' mean length, at their mean PSNR, and at their mean
squared error, which weighs all images alike (an image that is nearly perfect raises a mean of PSNRs
for few tokens, and a fixed depth spends as many on it as on any other).

With --priced N there are lines whose priors choose their own tokens: trained for a part of the
time on the nearest codes, then N times for another on tokens chosen by what they cost under it, in
as much time together as any other.

    python benchmarks/prior/train_compare.py --config configs/fashion_mnist.yaml \\
        --data fashion-mnist/train-images-idx3-ubyte.gz --out runs/prior_fashion

May be killed and called again; what is done stays.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor

from loopyvq.checkpoint import load_prior, load_tokenizer, load_tokenizer_of, prior_source
from loopyvq.cli.main import main as loopyvq
from loopyvq.codec import load_tables
from loopyvq.codec.importance import TUNES
from loopyvq.config import parse_config, read_yaml
from loopyvq.data import open_image_set, to_float
from loopyvq.data.token_draws import is_held_out, split_rows
from loopyvq.data.token_shards import holds_token_shards, open_token_shards, read_plan
from loopyvq.models.prior.site_prior import SitePrior
from loopyvq.pretokenize import (
    StopRule,
    default_stop,
    psnr_of,
    psnr_of_tokens,
    stop_for_length,
    stop_for_psnr,
)
from loopyvq.tensor_file import read_tensors
from loopyvq.training import PriorTrainingConfig, loop, train_prior
from loopyvq.training.prior_task import nats_of

_FIXED = "--tokenizer.quantizer.threshold 0 --tokenizer.quantizer.dummies false --rate_weight 0"
TOKENIZERS = {
    "loop": "--budget.low 0.5 --budget.high {most} --tokenizer.quantizer.stop {stop}",
    "loop_short": "--budget.low 0.5 --budget.high 1.5 --tokenizer.quantizer.stop {stop}",
    "fixed_depth": f"{_FIXED} --budget.kind depth --budget.low 1 --budget.high {{most}}",
    "plain_vq": f"{_FIXED} --tokenizer.quantizer.max_depth 1 --budget.kind full "
    "--tokenizer.quantizer.learn_gains false",
}
"""How the tokenizers differ from the config and from each other; networks, codes, steps and losses
are equal. Those of several rates are trained up to half as many tokens again as a prior will see:
plain VQ, which has one rate, is compared with a loop that knows no more than such rates either.
"""

WAYS = ["", "--top-p 0.9 --guidance 1.5"]
"""How to draw: options of `loopyvq evaluate generation`, the same for all lines."""

_BATCH = 250


@dataclass(frozen=True)
class Entry:
    """One line of the table.

    Attributes:
        name: of the line and its folders.
        tokenizer: which one.
        depth: tokens of every site; 0: as the loop finds fit.
        length: mean tokens per site, for the loop; 0: as many as it takes to be as good as
            ``like``.
        like: the line whose quality the loop shall have.
        pooled: whether that is its mean squared error; else its mean PSNR.
        in_context: whether codes and stops are chosen by what they cost in context.
        tune: what errors are weighed for, with ``in_context``.
        effort: how often images are looked at, with ``in_context`` or ``priced``.
        priced: how often the prior chooses the tokens anew that it goes on to learn.
    """

    name: str
    tokenizer: str
    depth: int = 0
    length: float = 0.0
    like: str = ""
    pooled: bool = False
    in_context: bool = False
    tune: str = "psnr"
    effort: int = 0
    priced: int = 0


def entries(arguments: argparse.Namespace) -> list[Entry]:
    length, tune, short = arguments.length, arguments.tune, arguments.short
    depth = max(1, round(length))
    fixed = f"fixed_depth_{depth}"
    usual = [
        Entry(fixed, "fixed_depth", depth=depth),
        Entry("plain_vq", "plain_vq", depth=1),
        Entry(f"loop_like_{fixed}", "loop", like=fixed),
        Entry("loop_like_plain_vq", short, like="plain_vq"),
        Entry(f"loop_mse_of_{fixed}", "loop", like=fixed, pooled=True),
        Entry("loop_mse_of_plain_vq", short, like="plain_vq", pooled=True),
        Entry(f"loop_{length:g}", "loop", length=length),
        Entry("loop_1", short, length=1.0),
    ]
    weighed = [
        Entry(f"{fixed}_in_context", "fixed_depth", depth=depth, in_context=True),
        Entry("plain_vq_in_context", "plain_vq", depth=1, in_context=True),
        Entry(f"loop_like_{fixed}_in_context", "loop", like=fixed, in_context=True),
        Entry("loop_like_plain_vq_in_context", short, like="plain_vq", in_context=True),
        Entry(f"loop_mse_of_{fixed}_in_context", "loop", like=fixed, pooled=True, in_context=True),
        Entry(
            "loop_mse_of_plain_vq_in_context",
            short,
            like="plain_vq",
            pooled=True,
            in_context=True,
        ),
    ]
    lengths = [
        Entry(
            f"loop_{mean:g}_in_context_{tune}",
            "loop" if mean > 1.5 else short,
            length=mean,
            in_context=True,
            tune=tune,
        )
        for mean in arguments.lengths
    ]
    priced = [
        replace(entry, name=f"{entry.name}_priced", priced=arguments.priced)
        for entry in usual
        if not entry.like or entry.pooled
    ]
    priced += [
        Entry(f"loop_{mean:g}_priced", "loop" if mean > 1.5 else short, length=mean,
              priced=arguments.priced)
        for mean in arguments.lengths
    ]  # fmt: skip
    further = (weighed + lengths) * arguments.in_context + priced * (arguments.priced > 0)
    return usual + [looking(entry, arguments.effort) for entry in further]


def looking(entry: Entry, effort: int) -> Entry:
    """Let a line look at images, unless its depth is fixed."""
    if not effort or entry.depth:
        return entry
    return replace(entry, name=f"{entry.name}_effort_{effort}", effort=effort)


def run(*words: object) -> None:
    if code := loopyvq([str(word) for word in words]):
        raise SystemExit(code)


def train_tokenizers(arguments: argparse.Namespace, wanted: list[Entry]) -> None:
    """Train those that lines need, for their tokens or to be as good."""
    by_name = {entry.name: entry for entry in entries(arguments)}
    models = [by_name[entry.like].tokenizer for entry in wanted if entry.like]
    models += [entry.tokenizer for entry in wanted]
    for name in sorted(set(models)):
        options, folder = TOKENIZERS[name], arguments.tokenizers / name
        done, state = (folder / f"{file}.safetensors" for file in ("best", "state"))
        if done.is_file() and (load_tables(folder) is not None or not state.is_file()):
            continue
        if state.is_file():
            run("train", "tokenizer", "--resume", folder, "--quiet")
        else:
            words = (arguments.config, "--data", arguments.data, "--out", folder, "--quiet")
            most = max(2, round(1.5 * arguments.length))
            told = options.format(most=most, stop=arguments.stop)
            steps = arguments.tokenizer_steps
            if steps:
                told += f" --run.steps {steps}"
            run("train", "tokenizer", *words, *told.split())


def held_out(arguments: argparse.Namespace, channels: int) -> Iterator[Tensor]:
    """Read the images to measure on, which no prior is trained on, in batches."""
    images = open_image_set(arguments.data, channels=channels)
    share = PriorTrainingConfig().validation_share
    rows = is_held_out(torch.arange(len(images)), share).nonzero().flatten()[: arguments.images]
    for some in rows.split(_BATCH):
        yield torch.stack([to_float(images.read(int(row))) for row in some])


def stop_of(
    arguments: argparse.Namespace, entry: Entry, prior: SitePrior | None = None
) -> StopRule:
    """Decide when sites have enough tokens, on the images to measure on."""
    if entry.depth:
        weighs = entry.in_context or prior is not None
        rule = StopRule(0.0, entry.depth, weigh=arguments.weigh if weighs else 0.0)
        return rule if prior is None else rule._replace(rule="prior")
    path = arguments.tokenizers / entry.tokenizer
    tokenizer = load_tokenizer(path)
    tokenizer.quantizer.stop = arguments.stop
    like, prices = default_stop(tokenizer), None
    images = list(held_out(arguments, tokenizer.config.image_channels))
    if prior is not None or entry.in_context:  # that takes long: on fewer of them
        rule = "in_context" if prior is None else "prior"
        like = like._replace(rule=rule, tune=entry.tune, effort=entry.effort)
        prices, images = load_tables(path) if prior is None else prior, images[:1]
    if entry.length:
        return stop_for_length(tokenizer, images, entry.length, like, prices)
    other = next(item for item in entries(arguments) if item.name == entry.like)
    theirs = load_tokenizer(arguments.tokenizers / other.tokenizer)
    theirs.quantizer.min_length = other.depth
    wanted = psnr_of(theirs, images, StopRule(0.0, other.depth), pooled=entry.pooled)
    return stop_for_psnr(tokenizer, images, wanted, like, prices, pooled=entry.pooled)


def make_shards(
    arguments: argparse.Namespace, entry: Entry, stop: StopRule, name: str, prior: Path | None
) -> Path:
    folder = arguments.out / "shards" / name
    if entry.depth:
        rule = ["--depth", stop.depth, "--weigh", stop.weigh]
    else:
        rule = ["--threshold", stop.threshold, "--stop", arguments.stop]
        looks = ["--effort", entry.effort] if entry.effort and stop.rule != arguments.stop else []
        rule += ["--in-context", "--tune", entry.tune] if entry.in_context else []
        rule += looks
    rule += ["--priced-by", prior] if prior else []
    if (entry.in_context or prior) and arguments.limit:
        rule += ["--limit", arguments.limit]
    run("pretokenize", arguments.tokenizers / entry.tokenizer, "--data", arguments.data, "--out",
        folder, "--condition", "class", *rule)  # fmt: skip
    return folder


def run_name(entry: Entry, seed: int) -> str:
    """Name the folders of a prior of a line."""
    return f"{entry.name}_seed_{seed}" if seed else entry.name


def taught(arguments: argparse.Namespace, entry: Entry, seed: int) -> tuple[Path, dict[str, float]]:
    """Train the prior of a line, and where it prices tokens itself, let it choose them in between.

    Returns:
        The tokens it learned last, what it took and how many steps it made.
    """
    name, spent, before = run_name(entry, seed), dict[str, float](), None
    for turn in range(entry.priced + 1):
        last = turn == entry.priced
        shards = arguments.out / "shards" / (f"{name}_{turn}" if entry.priced else entry.name)
        prior = load_prior(before) if before else None
        stop = known_stop(shards) or stop_of(arguments, entry, prior)
        make_shards(arguments, entry, stop, shards.name, before)
        folder = arguments.out / "priors" / (name if last else f"{name}_{turn}")
        here = train(arguments, shards, folder, seed, before, 1 / (entry.priced + 1))
        spent = {key: value + spent.get(key, 0.0) for key, value in here.items()}
        before = folder
    return shards, spent


def known_stop(shards: Path) -> StopRule | None:
    """Give the rule of shards that were begun already."""
    return StopRule.of(read_plan(shards).source) if holds_token_shards(shards) else None


def train(
    arguments: argparse.Namespace,
    shards: Path,
    folder: Path,
    seed: int,
    start: Path | None,
    share: float,
) -> dict[str, float]:
    """Train one prior; the clock of the loop is that of this process, not of the machine."""
    options = [*arguments.options, "--run.seed", str(seed)]
    if start:  # it has learned how far a step may go
        options += ["--start_from", str(start), "--optim.warmup_steps", "20"]
    config = parse_config(PriorTrainingConfig, read_yaml(arguments.prior), options)
    seconds, steps = share * arguments.seconds, 100_000
    if arguments.steps:
        seconds, steps = 0.0, max(1, round(share * arguments.steps))
    limits = replace(
        config.run, time_limit_s=seconds, steps=steps, tensorboard=False,
        accelerator=arguments.accelerator, precision=arguments.precision,
    )  # fmt: skip
    clock = time.process_time if arguments.accelerator == "cpu" else time.monotonic
    loop.time = SimpleNamespace(monotonic=clock)
    resume = (folder / "state.safetensors").is_file()
    train_prior(replace(config, run=limits), shards, folder, resume=resume, quiet=True)
    header = read_tensors(folder / "state.safetensors", "training state").header
    return {"seconds": header["elapsed_s"], "steps": header["step"]}


def measure(
    arguments: argparse.Namespace, entry: Entry, shards_path: Path, seed: int
) -> dict[str, object]:
    """Measure bits of unseen images, and how well their tokens reconstruct them."""
    folder = arguments.out / "priors" / run_name(entry, seed)
    prior, source = load_prior(folder), prior_source(folder)
    shards = open_token_shards(shards_path)
    rows = split_rows(shards, PriorTrainingConfig().validation_share)[1][: arguments.images]
    found = nats_of(prior, shards.packed, source, 64, rows)
    tokenizer = load_tokenizer_of(folder)
    images = list(held_out(arguments, tokenizer.config.image_channels))
    tokens = [shards.packed.select(some).tokens for some in rows.split(_BATCH)]
    pairs = list(zip(images, tokens, strict=False))  # --limit leaves some without tokens

    def psnr_db(*, pooled: bool) -> float:
        return psnr_of_tokens(tokenizer, pairs, source.threshold, pooled=pooled)

    return {
        "name": entry.name,
        "seed": seed,
        "tokens_per_site": found.num_tokens / found.num_sites,
        **found.values(),
        "psnr_db": psnr_db(pooled=False),
        "pooled_psnr_db": psnr_db(pooled=True),
        "threshold": source.threshold,
        "images": len(rows),
        "parameters": sum(item.numel() for item in prior.parameters()),
    }


def judge(arguments: argparse.Namespace, entry: Entry, seed: int) -> dict[str, float]:
    """Draw from one prior in several ways, and compare with real images."""
    found: dict[str, float] = {}
    features = arguments.out / "classifier.safetensors"
    for way in arguments.sampling:
        name = run_name(entry, seed)
        out = arguments.out / "generation" / name / (way or "all").replace(" ", "_")
        if not (out / "result.json").is_file():
            known = ("--features", features) if features.is_file() else ()
            run("evaluate", "generation", arguments.out / "priors" / name, "--data",
                arguments.data, "--count", arguments.count, "--batch", _BATCH, "--out", out,
                "--seed", seed, *known, *way.split())  # fmt: skip
            if not known:
                (out / "classifier.safetensors").rename(features)
        rows = {
            row["what"]: row for row in json.loads((out / "result.json").read_text())["results"]
        }
        found["real_frechet"] = rows["other real images"]["frechet"]
        found["tokens_frechet"] = rows["reconstructions"]["frechet"]
        found[f"frechet {way}".strip()] = rows["samples"]["frechet"]
        found[f"class_share {way}".strip()] = rows["samples"]["class_share"]
    return found


def table(results: list[dict], ways: list[str]) -> str:
    """Write one line for each kind of tokens: means over seeds, and what the draws range over."""
    heads = ["tokens", "per site", "mean PSNR", "pooled PSNR", "bits per pixel",
             "of them lengths", "steps"]  # fmt: skip
    if judged := any("tokens_frechet" in item for item in results):
        heads += ["Frechet of tokens alone", *(f"of samples {way}".strip() for way in ways)]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for name in dict.fromkeys(item["name"] for item in results):
        some = [item for item in results if item["name"] == name]
        first = some[0]
        cells = [name, f"{first['tokens_per_site']:.2f}", f"{first['psnr_db']:.2f} dB",
                 f"{first.get('pooled_psnr_db', math.nan):.2f} dB", spread(some, "rate_bpp", 4),
                 f"{first['stop_bpp']:.4f}", spread(some, "steps", 0)]  # fmt: skip
        if "tokens_frechet" in first:
            keys = [f"frechet {way}".strip() for way in ways]
            cells += [f"{first['tokens_frechet']:.2f}", *(spread(some, key, 2) for key in keys)]
        elif judged:
            cells += [""] * (1 + len(ways))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread(items: list[dict], key: str, digits: int) -> str:
    """Write a mean over seeds, and from where to where it is."""
    values = [item[key] for item in items]
    mean = f"{sum(values) / len(values):.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="configs/fashion_mnist.yaml", help="of the tokenizers")
    parser.add_argument("--prior", default="configs/prior_small.yaml", help="config of the prior")
    parser.add_argument("--data", required=True, help="images in classes")
    parser.add_argument("--out", type=Path, default=Path("runs/prior_compare"))
    parser.add_argument("--tokenizers", type=Path, help="default: OUT/tokenizers")
    parser.add_argument("--tokenizer-steps", type=int, default=0, metavar="N",
                        help="default: those of the config")  # fmt: skip
    parser.add_argument("--seconds", type=float, default=300.0, help="processor time per prior")
    parser.add_argument("--steps", type=int, default=0, metavar="N",
                        help="equal steps, not time: for a machine that others use")  # fmt: skip
    parser.add_argument("--length", type=float, default=2.0, help="mean tokens per site")
    parser.add_argument("--stop", default="rate_distortion", help="when a site of the loop ends")
    parser.add_argument("--in-context", action="store_true",
                        help="also lines whose codes and stops are chosen in context")  # fmt: skip
    parser.add_argument("--lengths", type=float, nargs="*", default=[], metavar="N",
                        help="with --in-context or --priced: the loop at these too")  # fmt: skip
    parser.add_argument("--tune", default="ms_ssim", choices=tuple(TUNES),
                        help="what those weigh errors for")  # fmt: skip
    parser.add_argument("--effort", type=int, default=0, metavar="N",
                        help="with these: look N times at each image")  # fmt: skip
    parser.add_argument("--priced", type=int, default=0, metavar="N",
                        help="also lines whose priors choose their tokens, N times")  # fmt: skip
    parser.add_argument("--weigh", type=float, default=0.2, metavar="T",
                        help="threshold at which a fixed depth weighs or prices codes")  # fmt: skip
    parser.add_argument("--limit", type=int, default=0, metavar="N",
                        help="images with tokens in context or priced: 10 ms each")  # fmt: skip
    parser.add_argument("--images", type=int, default=1000, help="held-out images to measure on")
    parser.add_argument("--count", type=int, default=1000, help="images to draw; 0: none")
    parser.add_argument("--sampling", nargs="+", default=WAYS, metavar="OPTIONS",
                        help="ways to draw, each one word")  # fmt: skip
    parser.add_argument("--short", default="loop_short", choices=("loop", "loop_short"),
                        help="which loop is compared with plain VQ")  # fmt: skip
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these lines")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N",
                        help="a prior and its samples for each")  # fmt: skip
    parser.add_argument("--accelerator", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--precision", default="32-true")
    arguments, arguments.options = parser.parse_known_args()
    if arguments.lengths and not (arguments.in_context or arguments.priced):
        parser.error("--lengths needs --in-context or --priced")
    arguments.tokenizers = arguments.tokenizers or arguments.out / "tokenizers"
    lines = {entry.name: entry for entry in entries(arguments)}
    if unknown := set(arguments.only or ()) - set(lines):
        parser.error(f"--only names no lines {sorted(unknown)}; there are {', '.join(lines)}")
    wanted = [lines[name] for name in arguments.only or lines]
    train_tokenizers(arguments, wanted)
    path = arguments.out / "results.json"
    found = json.loads(path.read_text()) if path.is_file() else []
    results = {(item["name"], item.get("seed", 0)): item for item in found}
    for entry in wanted:
        for seed in arguments.seeds:
            shards, trained = taught(arguments, entry, seed)
            judged = judge(arguments, entry, seed) if arguments.count else {}
            measured = measure(arguments, entry, shards, seed)
            results[entry.name, seed] = {**measured, **trained, **judged}
            path.write_text(json.dumps(list(results.values()), indent=2) + "\n")
            print(table(list(results.values()), arguments.sampling), flush=True)


if __name__ == "__main__":
    main()
