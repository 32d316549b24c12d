"""Time one training step of taming-transformers' own code against ours.

    git clone https://github.com/CompVis/taming-transformers
    git -C taming-transformers checkout 3ba01b2
    python benchmarks/vqgan_step/run.py --taming taming-transformers

Both train the same networks (64 channels, f = 8) on the same four images of 128 px with the same
losses, discriminator on: first one pass each on the same weights, whose losses and gradients must
agree, then steps in turns, every side in a process of its own. Times are medians; memory is the
largest that each process has held.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
COMMIT = "3ba01b2"
TOLERANCE = 2e-3
BASE = "taming, float32"


class Side:
    """A worker that takes a step whenever it is told to."""

    def __init__(self, words: list[str], threads: int) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            [sys.executable, *words],
            cwd=HERE,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.seconds: list[float] = []
        self.cpu_seconds: list[float] = []
        self.peak = 0

    def step(self) -> None:
        print("step", file=self.process.stdin, flush=True)
        found = self.answer()
        self.seconds.append(found["seconds"])
        self.cpu_seconds.append(found["cpu_seconds"])
        self.peak = found["peak"]

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{' '.join(self.process.args[1:])} ended with {self.process.wait()}")
        return json.loads(line)

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def compare(theirs: dict, ours: dict) -> None:
    """Print the losses of both and stop if they differ."""
    print("| at the same weights, float32 | taming | ours | relative difference |")
    print("|---|---:|---:|---:|")
    apart = {}
    for name, value in theirs.items():
        apart[name] = abs(value - ours[name]) / max(abs(value), 1e-6)
        print(f"| {name.replace('_', ' ')} | {value:.6g} | {ours[name]:.6g} | {apart[name]:.1e} |")
    worst = max(apart, key=apart.__getitem__)
    if apart[worst] > TOLERANCE:
        sys.exit(f"{worst} differs by more than {TOLERANCE}: the two do not compute the same")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--taming", type=Path, required=True, help=f"checkout of {COMMIT}")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    arguments, words = parser.parse_known_args()
    checkout = arguments.taming.resolve()
    if not (checkout / "taming/models/vqgan.py").is_file():
        sys.exit(f"{checkout} is no checkout of taming-transformers")
    with tempfile.TemporaryDirectory() as folder:
        weights = f"{folder}/weights.pt"
        theirs, ours = ["taming_worker.py", str(checkout), weights], ["our_worker.py", weights]
        losses = []
        for side in (theirs, ours):
            worker = Side([*side, "check"], arguments.threads)
            losses.append(worker.answer())
            worker.end()
        compare(*losses)
        sides = {
            BASE: [*theirs, "32-true"],
            "ours, float32": [*ours, "32-true", *words],
            "taming under autocast": [*theirs, "bf16-mixed"],
            "ours, bf16": [*ours, "bf16-mixed", *words],
        }
        result = measure(sides, arguments.threads, arguments.rounds)
    base = result[BASE]
    print(f"\n{arguments.threads} thread(s), medians of {arguments.rounds} steps in turns\n")
    print(
        "| | s per step | times as fast | CPU s | times as fast | peak memory, MB | of taming's |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, row in result.items():
        print(
            f"| {name} | {row['seconds']:.2f} | {base['seconds'] / row['seconds']:.2f} | "
            f"{row['cpu_seconds']:.2f} | {base['cpu_seconds'] / row['cpu_seconds']:.2f} | "
            f"{row['peak'] / 1e6:.0f} | {row['peak'] / base['peak']:.2f} |"
        )
    if arguments.out:
        values = {"threads": arguments.threads, "losses": losses, "steps": result}
        arguments.out.write_text(json.dumps(values, indent=1))


def measure(sides: dict[str, list[str]], threads: int, rounds: int) -> dict[str, dict]:
    """Step all sides in turns; the first two rounds do not count."""
    workers = {name: Side(words, threads) for name, words in sides.items()}
    for _ in range(rounds + 2):
        for worker in workers.values():
            worker.step()
    for worker in workers.values():
        worker.end()
    return {
        name: {
            "seconds": statistics.median(worker.seconds[2:]),
            "cpu_seconds": statistics.median(worker.cpu_seconds[2:]),
            "peak": worker.peak,
        }
        for name, worker in workers.items()
    }


if __name__ == "__main__":
    main()
