"""Two gloo processes on one machine, forked so that they start at once."""

import datetime
import multiprocessing
import os
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import distributed

_context = multiprocessing.get_context("fork")


def on_two_ranks(scenario: Callable[[int], Any], limit_s: float = 10.0) -> list[Any]:
    """Run ``scenario(rank)`` in two processes; it begins before the process group exists.

    The scenario is a generator: it builds up to its ``yield``, then the group is made, and what
    it returns afterwards comes back.

    Raises:
        TimeoutError: a process had not ended after ``limit_s``.
        RuntimeError: a process raised; the message begins with the exception's name.
    """
    with tempfile.TemporaryDirectory() as folder:
        pipes, processes = [], []
        for rank in range(2):
            receiver, sender = _context.Pipe(duplex=False)
            store = str(Path(folder) / "store")
            process = _context.Process(target=_run, args=(scenario, rank, store, sender, limit_s))
            process.start()
            sender.close()
            pipes.append(receiver)
            processes.append(process)
        try:
            answers = [_answer(pipe, limit_s) for pipe in pipes]
        finally:
            for process in processes:
                process.kill()
                process.join()
    for answer in answers:
        if isinstance(answer, str):
            raise RuntimeError(answer)
    return [answer[0] for answer in answers]


def _answer(pipe: Any, limit_s: float) -> Any:
    if not pipe.poll(limit_s):
        raise TimeoutError(f"no answer within {limit_s:.0f} s")
    try:
        return pipe.recv()
    except EOFError:
        return "process died"


def _run(scenario: Any, rank: int, store: str, sender: Any, limit_s: float) -> None:
    torch.set_num_threads(1)
    try:
        steps = scenario(rank)
        next(steps)
        distributed.init_process_group(
            "gloo",
            init_method=f"file://{store}",
            rank=rank,
            world_size=2,
            timeout=datetime.timedelta(seconds=limit_s + 5),
        )
        try:
            next(steps)
        except StopIteration as end:
            sender.send((end.value,))
        distributed.barrier()
    except Exception as error:
        sender.send(f"{type(error).__name__}: {str(error) or traceback.format_exc(limit=-2)}")
    os._exit(0)
