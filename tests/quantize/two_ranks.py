"""Train or evaluate one quantizer in two gloo processes: ``two_ranks.py SCENARIO NAME``."""

import datetime
import os
import sys
import tempfile
from pathlib import Path

import torch
from torch import distributed, multiprocessing

from loopyvq.quantize import QUANTIZERS

STEPS = 20


def batch(scenario, step, rank):
    """Latents of another number on every rank, and which of them count."""
    generator = torch.Generator().manual_seed(2 * step + rank)
    rows = 40 + 35 * rank
    z = torch.randn(rows, 4, generator=generator) * torch.rand(rows, 1, generator=generator)
    if scenario == "no_dead_code" and rank == 1:  # leaves nearly all codes to the other rank
        z = z[:1].expand(rows, -1)
    empty = scenario == "no_valid_site" and rank == (step + 1) % 2
    return z, torch.full((rows,), not empty)


def run(rank, scenario, name, store):
    torch.set_num_threads(1)
    torch.manual_seed(rank if scenario == "seeds" else 0)
    options = {"codebook_size": 16, "codebook_dim": 4, "start_iterations": 3, "revive_below": 0.5}
    quantizer = QUANTIZERS[name](**options).train()
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{store}",
        rank=rank,
        world_size=2,
        timeout=datetime.timedelta(seconds=40),
    )
    for step in range(STEPS):
        z, mask = batch(scenario, step, rank)
        quantizer(z, mask=mask)
    if scenario == "evaluation":
        evaluate(quantizer, rank)
    else:
        compare(quantizer, rank)
    distributed.barrier()
    distributed.destroy_process_group()


def compare(quantizer, rank):
    for key, value in quantizer.state_dict().items():
        gathered = [torch.empty_like(value) for _ in range(2)]
        distributed.all_gather(gathered, value)
        if not torch.equal(*gathered):
            raise SystemExit(f"{key} differs between the ranks")
    if not quantizer.codebook.initialised or quantizer.codebook.updates != STEPS:
        raise SystemExit("the codebook was not updated once per step")
    if rank == 0:
        print(f"equal after {STEPS} steps", flush=True)  # noqa: T201


def evaluate(quantizer, rank):
    def refuse(*_, **__):
        raise SystemExit("evaluation issued a collective")

    if rank == 1:
        return
    kept = {key: getattr(distributed, key) for key in ("all_reduce", "all_gather", "broadcast")}
    for key in kept:
        setattr(distributed, key, refuse)
    z, mask = batch("uneven", 99, rank)
    quantizer.eval().decode(quantizer(z, mask=mask).tokens)
    quantizer.decode(quantizer.encode(z))
    for key, function in kept.items():
        setattr(distributed, key, function)
    print("evaluated alone", flush=True)  # noqa: T201


if __name__ == "__main__":
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(run, (*sys.argv[1:], str(Path(folder) / "store")), nprocs=2)
