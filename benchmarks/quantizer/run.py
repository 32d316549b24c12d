"""Time our quantizer against vector-quantize-pytorch and FAISS, on equal codebooks.

    python benchmarks/quantizer/run.py [--threads 1,2] [--out FOLDER]

Every row is a median of interleaved runs in one process; threads are pinned alike. ``wrong`` is the
share of vectors whose codes differ from a greedy search in float64. Writes the tables, the numbers
as JSON and a plot; needs the environment of ``make bench-quantizer``.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

FAISS = ("FAISS flat", "FAISS residual", "FAISS residual, table")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", default="1,2", help="comma-separated")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-quantizer"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for threads in arguments.threads.split(","):
        result = measure(int(threads))
        (arguments.out / f"threads_{threads}.json").write_text(json.dumps(result, indent=1))
        print("\n".join(tables(result)), flush=True)
        if "curves" in result:
            plot(result["curves"], arguments.out / "quantizer_speed.svg")


def measure(threads: int) -> dict:
    """Run the worker in a process of its own."""
    worker = Path(__file__).with_name("worker.py")
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    run = subprocess.run(
        [sys.executable, worker.name, str(threads)],
        cwd=worker.parent,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(run.stdout.splitlines()[-1])


def tables(result: dict) -> list[str]:
    """Write the results of one number of threads as Markdown."""
    lines = [f"\n## Threads: {result['threads']}\n"]
    lines += ["| encode, 16,384 vectors, 8 turns | ours | vqp | best FAISS | vqp / ours | "
              "FAISS / ours | 8 turns / 1 | floor (one product) | wrong: ours, vqp, FAISS |",
              "|---|---:|---:|---:|---:|---:|---:|---:|---|"]  # fmt: skip
    for row in result["encode"]:
        ms, wrong = row["ms"], row["wrong"]
        faiss = min(ms[name] for name in FAISS)
        lines.append(
            f"| K={row['size']}, d={row['width']} | {ms['ours']:.1f} ms | {ms['vqp']:.0f} ms | "
            f"{faiss:.1f} ms | **{ms['vqp'] / ms['ours']:.1f}** | **{faiss / ms['ours']:.2f}** | "
            f"{ms['ours'] / ms['ours, one turn']:.2f} | {ms['product']:.1f} ms | "
            f"{wrong['ours']:.2%}, {wrong['vqp']:.2%}, {wrong['FAISS flat']:.2%} |"
        )
    lines += [
        "",
        "| with a codebook that has just changed | ours | FAISS / ours |",
        "|---|---:|---:|",
    ]
    for row in result["encode"]:
        new, faiss = row["ms"]["ours, new codebook"], min(row["ms"][name] for name in FAISS)
        lines.append(f"| K={row['size']}, d={row['width']} | {new:.1f} ms | {faiss / new:.2f} |")
    lines += ["", "| beam of 5 | ours | FAISS | FAISS / ours | error: greedy, FAISS, ours |",
              "|---|---:|---:|---:|---|"]  # fmt: skip
    for row in result["beam"]:
        ms, error = row["ms"], row["error"]
        faiss = min(ms["FAISS"], ms["FAISS, table"])
        lines.append(
            f"| K={row['size']}, d={row['width']} | {ms['ours']:.0f} ms | {faiss:.0f} ms | "
            f"**{faiss / ms['ours']:.2f}** | {error['greedy']:.4f}, {error['FAISS']:.4f}, "
            f"{error['ours']:.4f} |"
        )
    lines += ["", "| mean length 3 of 16 | threshold | all turns | ratio |", "|---|---:|---:|---:|"]
    for row in result["stopping"]:
        ms = row["ms"]
        lines.append(
            f"| K={row['size']}, d={row['width']} | {ms['threshold']:.1f} ms | {ms['full']:.1f} ms "
            f"| **{ms['threshold'] / ms['full']:.2f}** |"
        )
    lines += ["", "| training step, 8 turns | ours | vqp | vqp / ours |", "|---|---:|---:|---:|"]
    for row in result["training"]:
        ms = row["ms"]
        lines.append(
            f"| K={row['size']}, d={row['width']} | {ms['ours']:.0f} ms | {ms['vqp']:.0f} ms | "
            f"**{ms['vqp'] / ms['ours']:.1f}** |"
        )
    lines += ["", f"Memory bandwidth (copy): {result['bandwidth_gb_s']:.1f} GB/s."]
    if "bytes_per_pair" in result:
        lines.append(
            f"Extra memory at 65,536 vectors, 8,192 codes: {result['bytes_per_pair']:.3f} bytes "
            "per pair."
        )
    return lines


def plot(curves: dict, path: Path) -> None:
    """Draw time against depth, rows and codes."""
    titles = {"depth": "turns", "rows": "vectors", "codes": "codes"}
    figure, axes = pyplot.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
    for axis, (name, points) in zip(axes, curves.items(), strict=True):
        for library, colour in (("ours", "#1a6fb4"), ("FAISS flat", "#b4541a")):
            values = [point["ms"][library] for point in points]
            label = "loopyvq" if library == "ours" else library
            axis.plot([point["x"] for point in points], values, "o-", color=colour, label=label)
        axis.set(xscale="log", yscale="log", xlabel=titles[name])
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("ms, one thread")
    axes[0].legend(frameon=False)
    figure.savefig(path)


if __name__ == "__main__":
    main()
