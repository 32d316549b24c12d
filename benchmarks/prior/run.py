"""Time sampling and training of priors against taming-transformers and Hugging Face's library.

    git clone https://github.com/CompVis/taming-transformers
    git -C taming-transformers checkout 3ba01b2
    python benchmarks/prior/run.py --taming taming-transformers

All sides have the same weights: one transformer of taming's default sizes over 256 codes of an
image. First the greedy sequences of all must be the same, then sampling (top-k 100) and training
steps are timed in turns, in one process. Of sampling batches without a cache, every 16th step is
taken and counted 16 times.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path

import clock
import hugging_face_side
import our_side
import site_side
import taming_side
import torch
from sizes import Sizes

TOP_K = 100
EVERY = 16
NO_CACHE, PAST, STATIC, OURS = (
    "taming sample, no cache", "taming sample_with_past", "Hugging Face generate, static cache",
    "ours",
)  # fmt: skip
SITE, LONGER = "site-and-depth, mean 4", "site-and-depth, mean 5"


def sampling(model, prior, gpt2, sizes: Sizes, batch: int, rounds: int, *, uncached: bool) -> dict:
    """Compare sequences, then time."""
    start, steps = torch.zeros(batch, 1, dtype=torch.int64), sizes.codes
    sides = {
        OURS: partial(our_side.extend, prior),
        PAST: partial(taming_side.sample_with_past, model),
    }
    if gpt2 is not None:
        sides[STATIC] = partial(hugging_face_side.generate, gpt2)
    if uncached:
        sides[NO_CACHE] = partial(taming_side.sample, model)
    compare(sides, batch, steps)
    tasks = {name: partial(side, start, steps, TOP_K) for name, side in sides.items()}
    tasks["ours, bfloat16 products"] = partial(our_side.extend_in_bf16, prior, start, steps, TOP_K)
    if NO_CACHE in tasks and batch > 1:  # its steps differ in length alone
        tasks[NO_CACHE] = partial(taming_side.some_steps, model, start, steps, TOP_K, EVERY)
    found = clock.in_turns(tasks, rounds, frozenset({NO_CACHE}))
    if NO_CACHE in tasks and batch > 1:
        found[NO_CACHE] |= {key: EVERY * found[NO_CACHE][key] for key in ("seconds", "cpu_seconds")}
    return found


def compare(sides: dict, batch: int, steps: int) -> None:
    """Continue different symbols greedily; stop unless all sides agree."""
    start = torch.arange(batch).unsqueeze(1)
    first = None
    for name, side in sides.items():
        if name == NO_CACHE:
            continue  # a few steps are enough for it: every one reads all before it again
        found = side(start, steps, None)
        first = found if first is None else first
        if not torch.equal(found, first):
            sys.exit(f"{name} gives other symbols than ours")
    if NO_CACHE in sides and not torch.equal(sides[NO_CACHE](start, 24, None), first[:, :24]):
        sys.exit(f"{NO_CACHE} gives other symbols than ours")
    print(f"greedy sequences of {', '.join(sides)}: the same", flush=True)


def training(model, prior, sizes: Sizes, batch: int, rounds: int) -> dict:
    """Time steps on the same codes."""
    codes = model.first_stage_model.codes.reshape(batch, sizes.codes)
    model.train()
    prior.train()
    theirs, ours = model.configure_optimizers(), our_side.optimizer_of(prior)
    step = partial(our_side.training_step, prior, ours, codes)
    tasks = {
        "ours": partial(step, bf16=True),
        "ours, float32": partial(step, bf16=False),
        "taming Net2NetTransformer": partial(taming_side.training_step, model, theirs, batch),
    }
    clock.in_turns(tasks, 1)
    return clock.in_turns(tasks, rounds)


def depth(sizes: Sizes, batch: int, rounds: int) -> dict:
    """Time site-and-depth at two mean lengths against flat sequences of the same tokens."""
    priors = {
        SITE: site_side.site_prior(sizes, 4.0),
        LONGER: site_side.site_prior(sizes, 5.0),
        "flat, spelling flat, mean 4": site_side.flat_prior(sizes, 4.0, "flat"),
        "flat, spelling dummy, mean 4": site_side.flat_prior(sizes, 4.0, "dummy"),
    }
    means = {}

    def draw(name: str) -> None:
        means[name] = site_side.generate(priors[name], sizes, batch)

    tasks = {name: partial(draw, name) for name in priors}
    for prior in priors.values():  # what is built on first use is not timed
        site_side.generate(prior, Sizes(layers=sizes.layers, codes=4), batch)
    slow = frozenset(tasks) - {SITE, LONGER} if batch > 1 else frozenset()
    found = clock.in_turns(tasks, rounds, slow)
    for name, mean in means.items():
        found[name]["mean_length"] = mean
    return found


def marginal(found: dict, key: str) -> float:
    """Give the share by which one more mean turn makes sampling longer."""
    one, other = found[SITE], found[LONGER]
    turns = other["mean_length"] - one["mean_length"]
    return (other[key] / one[key] - 1) / turns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--taming", type=Path, required=True, help="checkout of commit 3ba01b2")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batches", default="1,16", help="images at a time when sampling")
    parser.add_argument("--training-batch", type=int, default=8)
    parser.add_argument("--layers", type=int, default=Sizes.layers)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-uncached", action="store_true", help="leave out the slowest side")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-prior"))
    arguments = parser.parse_args()
    checkout = arguments.taming.resolve()
    if not (checkout / "taming/models/cond_transformer.py").is_file():
        sys.exit(f"{checkout} is no checkout of taming-transformers")
    torch.set_num_threads(arguments.threads)
    sizes, batch = Sizes(layers=arguments.layers), arguments.training_batch
    codes = torch.randint(0, sizes.vocabulary, (batch * sizes.codes,))
    model = taming_side.build(checkout, sizes, codes).eval()
    prior = our_side.convert(model, sizes)
    gpt2 = hugging_face_side.build(prior, sizes)
    result = {"threads": arguments.threads, "sizes": vars(sizes), "sampling": {}, "depth": {}}
    for count in map(int, arguments.batches.split(",")):
        uncached = not arguments.no_uncached
        found = sampling(model, prior, gpt2, sizes, count, arguments.rounds, uncached=uncached)
        result["sampling"][count] = found
        print(f"\nSampling, {count} x {sizes.codes} codes, {arguments.threads} thread(s)\n")
        print("\n".join(clock.table(found, OURS, count * sizes.codes, "codes")), "\n", flush=True)
        found = result["depth"][count] = depth(sizes, count, arguments.rounds)
        print(f"\nVariable lengths, {count} x {sizes.codes} sites\n")
        print("\n".join(clock.table(found, SITE, count * sizes.codes, "sites")))
        lengths = ", ".join(f"{name}: {row['mean_length']:.2f}" for name, row in found.items())
        shares = [marginal(found, key) for key in ("seconds", "cpu_seconds")]
        print(f"\nmean lengths: {lengths}")
        print("one more mean turn: {:.1%} by the clock, {:.1%} on the processor".format(*shares))
    found = result["training"] = training(model, prior, sizes, batch, arguments.rounds)
    print(f"\nTraining step, {batch} x {sizes.codes} codes, {arguments.threads} thread(s)\n")
    print("\n".join(clock.table(found, "ours", batch * sizes.codes, "codes")), flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "prior_speed.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
