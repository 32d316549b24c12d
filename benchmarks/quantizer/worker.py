"""Measure everything on a fixed number of threads and print it as JSON: ``worker.py THREADS``."""

import json
import statistics
import subprocess
import sys
import time

import faiss
import numpy as np
import torch
from peers import Setting

ROUNDS = 5
SETTINGS = [(1024, 64), (1024, 256), (256, 32), (512, 12)]
ROWS, DEPTH = 16384, 8


def interleaved(runs: dict, rounds: int = ROUNDS) -> dict[str, float]:
    """Give the median milliseconds of each run, taking turns so that all see the same noise."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            times[name].append(1e3 * (time.perf_counter() - began))
    return {name: statistics.median(values) for name, values in times.items()}


def encode(size: int, width: int) -> dict:
    """Full depth, all libraries; and one turn, and a codebook that has just changed."""
    setting = Setting(ROWS, size, width, DEPTH)
    ours, vqp = setting.ours(), setting.vqp()
    flat = setting.faiss_flat()
    residual = {table: setting.faiss_residual(1, table=table) for table in (False, True)}
    with torch.inference_mode():
        found = interleaved(
            {
                "ours": lambda: ours.encode(setting.vectors),
                "ours, new codebook": lambda: setting.fresh(ours),
                "ours, one turn": lambda: ours.encode(setting.vectors, depth=1),
                "vqp": lambda: vqp(setting.vectors),
                "FAISS flat": flat,
                "FAISS residual": residual[False],
                "FAISS residual, table": residual[True],
                "product": lambda: torch.mm(setting.vectors, setting.codes.T),
            }
        )
        exact = setting.exact_codes()
        codes = {
            "ours": ours.encode(setting.vectors).codes.numpy(),
            "vqp": vqp(setting.vectors)[1].numpy(),
            "FAISS flat": flat(),
            "FAISS residual": residual[False](),
        }
    wrong = {name: float((found != exact).any(axis=1).mean()) for name, found in codes.items()}
    return {"size": size, "width": width, "ms": found, "wrong": wrong}


def beam(size: int, width: int) -> dict:
    """Beam of five; FAISS in its faster way."""
    setting = Setting(ROWS, size, width, DEPTH)
    ours = setting.ours(beam_size=5)
    runs = {"ours": lambda: ours.encode(setting.vectors).codes.numpy()}
    for table in (False, True):
        runs[f"FAISS{', table' if table else ''}"] = setting.faiss_residual(5, table=table)
    error = {name: setting.error(run()) for name, run in runs.items()}
    error["greedy"] = setting.error(setting.ours().encode(setting.vectors).codes.numpy())
    return {"size": size, "width": width, "ms": interleaved(runs, 3), "error": error}


def stopping(size: int, width: int) -> dict:
    """A threshold that leaves three turns of sixteen on average, against all sixteen."""
    setting = Setting(ROWS, size, width, 16)
    ours = setting.ours()
    low, high = 0.0, 100.0
    for _ in range(40):
        middle = (low + high) / 2
        mean = float(ours.encode(setting.vectors, middle).lengths.double().mean())
        low, high = (middle, high) if mean > 3 else (low, middle)
    found = interleaved(
        {
            "threshold": lambda: ours.encode(setting.vectors, high),
            "full": lambda: ours.encode(setting.vectors, 0.0),
        }
    )
    return {"size": size, "width": width, "ms": found, "mean": mean}


def training(size: int, width: int) -> dict:
    """Forward and backward, with the update of the averages."""
    setting = Setting(ROWS, size, width, DEPTH)
    ours, vqp = setting.ours().train(), setting.vqp(training=True)

    def step(quantizer):
        vectors = setting.vectors.clone().requires_grad_()
        z_q, _, loss = quantizer(vectors)[:3]
        (z_q.square().mean() + loss.sum()).backward()

    found = interleaved({"ours": lambda: step(ours), "vqp": lambda: step(vqp)}, 3)
    return {"size": size, "width": width, "ms": found}


def curves() -> dict:
    """Time against depth, rows and codes, the others held."""
    found: dict[str, list] = {"depth": [], "rows": [], "codes": []}
    cases = {
        "depth": [(ROWS, 1024, 64, depth) for depth in (1, 2, 4, 8, 16, 32)],
        "rows": [(rows, 1024, 64, DEPTH) for rows in (64, 256, 1024, 4096, 16384, 65536)],
        "codes": [(ROWS, size, 64, DEPTH) for size in (64, 256, 1024, 4096)],
    }
    for axis, settings in cases.items():
        for rows, size, width, depth in settings:
            setting = Setting(rows, size, width, depth)
            ours, flat = setting.ours(), setting.faiss_flat()
            with torch.inference_mode():
                run = {"ours": lambda: ours.encode(setting.vectors), "FAISS flat": flat}  # noqa: B023
                x = {"depth": depth, "rows": rows, "codes": size}[axis]
                found[axis].append({"x": x, "ms": interleaved(run, 3)})
    return found


MEMORY = """
import torch
from peers import Setting

def peak_bytes():
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))

setting = Setting(65536, 8192, 64, 8)
ours = setting.ours()
ours.encode(setting.vectors[:64])
before = peak_bytes()
ours.encode(setting.vectors)
print((peak_bytes() - before) / (65536 * 8192))
"""


def main() -> None:
    threads = int(sys.argv[1])
    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)
    torch.manual_seed(0)
    bulk = torch.empty(1 << 27, dtype=torch.uint8)
    copied = interleaved({"copy": lambda: bulk.clone()})["copy"]
    result = {
        "threads": threads,
        "bandwidth_gb_s": 2 * len(bulk) / copied / 1e6,
        "encode": [encode(*setting) for setting in SETTINGS],
        "beam": [beam(*setting) for setting in SETTINGS[:2]],
        "stopping": [stopping(*setting) for setting in SETTINGS],
        "training": [training(*setting) for setting in SETTINGS[:2]],
    }
    if threads == 1:
        result["curves"] = curves()
        memory = subprocess.run(
            [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True
        )
        result["bytes_per_pair"] = float(memory.stdout)
    print(json.dumps(result, default=np.ndarray.tolist))


if __name__ == "__main__":
    main()
