"""Two gloo processes; this file is also the script that they run."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing

from loopyvq.ops.distributed import (
    copy_from_first_rank,
    gather_over_ranks,
    gather_rows_over_ranks,
    is_parallel,
    mean_over_ranks,
    num_ranks,
    sum_over_ranks,
)


def test_alone_nothing_changes():
    values = torch.arange(6.0).reshape(3, 2)
    assert not is_parallel()
    assert num_ranks() == 1
    assert torch.equal(sum_over_ranks(values), values)
    assert mean_over_ranks(values) is values
    assert torch.equal(gather_over_ranks(values), values)
    assert torch.equal(copy_from_first_rank(values), values)
    assert torch.equal(gather_rows_over_ranks(values, 5), values)
    assert torch.equal(gather_rows_over_ranks(values, 2), values[:2])
    assert gather_rows_over_ranks(values[:0], 2).shape == (0, 2)


def run(rank, store):
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    values = torch.tensor([1.0, 10.0]) * (rank + 1)
    kept = values.clone()
    found = {
        "ranks": num_ranks(),
        "sum": sum_over_ranks(values).tolist(),
        "mean": mean_over_ranks(values).tolist(),
        "joined": gather_over_ranks(values.reshape(2, 1)[:1]).tolist(),
        "rows": gather_rows_over_ranks(values.reshape(2, 1)[rank:], 5).tolist(),
        "none": gather_rows_over_ranks(values.reshape(2, 1)[: 2 * rank], 1).tolist(),
        "copied": copy_from_first_rank(values).tolist(),
        "unchanged": torch.equal(values, kept),
    }
    expected = {
        "ranks": 2,
        "sum": [3.0, 30.0],
        "mean": [1.5, 15.0],
        "joined": [[1.0], [2.0]],
        "rows": [[1.0], [10.0], [20.0]],
        "none": [[2.0]],
        "copied": [1.0, 10.0],
        "unchanged": True,
    }
    distributed.destroy_process_group()
    if found != expected:
        raise SystemExit(f"rank {rank} found {found}")


@pytest.mark.slow
def test_two_processes_join_what_they_have():
    command = [sys.executable, __file__]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 0, finished.stderr


if __name__ == "__main__":
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(run, (str(Path(folder) / "store"),), nprocs=2)
