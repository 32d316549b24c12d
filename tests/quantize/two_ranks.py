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
    if scenario in ("mix", "joined"):
        {"mix": mix_lengths, "joined": join_batches}[scenario](name, rank)
    else:
        for step in range(STEPS):
            z, mask = batch(scenario, step, rank)
            quantizer(z, mask=mask)
        (evaluate if scenario == "evaluation" else compare)(quantizer, rank)
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


class Model(torch.nn.Module):
    """A layer in front of a quantizer that the optimizer moves too."""

    def __init__(self, name):
        super().__init__()
        torch.manual_seed(0)
        options = {"codebook_size": 16, "codebook_dim": 4, "start_iterations": 3}
        self.layer = torch.nn.Linear(4, 4)
        self.quantizer = QUANTIZERS[name](codebook_update="gradient", **options)
        self.quantizer.codebook.set(torch.randn(16, 4))

    def forward(self, z, depth, mask):
        result = self.quantizer(self.layer(z), threshold=0.1, depth=depth, mask=mask)
        return result.loss + 0 * result.z_q.sum()


def mix_lengths(name, rank):
    """No site, no turn, some turns, all turns: on either rank."""
    model = torch.nn.parallel.DistributedDataParallel(Model(name).train())
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    for step, (depth, other) in enumerate([(0, 8), (8, 0), (0, 0), (1, 3), (8, 8), (None, 0)]):
        z, mask = batch("uneven", step, rank)
        mask = mask if (depth, other)[rank] is not None else ~mask
        optimizer.zero_grad()
        model(z, (depth, other)[rank] or 0, mask).backward()
        optimizer.step()
    if any(parameter.grad is None for parameter in model.parameters()):
        raise SystemExit("a parameter got no gradient")
    if rank == 0:
        print("no parameter was left out", flush=True)  # noqa: T201


def join_batches(name, rank):
    """Compare with one process that gets both batches, of different sizes and lengths."""
    model = torch.nn.parallel.DistributedDataParallel(Model(name).train())
    parts = [batch("uneven", 0, each) for each in range(2)]
    depths = [torch.full((len(z),), 1 + 3 * each) for each, (z, _) in enumerate(parts)]
    model(parts[rank][0], depths[rank], parts[rank][1]).backward()
    alone = Model(name)
    alone.quantizer.freeze().requires_grad_(True)  # no collective: one rank computes it
    joined = [torch.cat([part[i] for part in parts]) for i in range(2)]
    alone.eval()(joined[0], torch.cat(depths), joined[1]).backward()
    for mine, theirs in zip(model.module.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-6)
    if rank == 0:
        print("the same gradient", flush=True)  # noqa: T201


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
