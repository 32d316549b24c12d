"""What both sides train, and how they talk to the program that starts them."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

CHANNELS, MULTIPLIERS, BLOCKS, RESOLUTION, BATCH = 64, (1, 2, 2, 4), 2, 128, 4
CODES, CODE_WIDTH, LATENT = 1024, 256, 256
ATTENTION_LEVEL = len(MULTIPLIERS) - 1
DISCRIMINATOR_WIDTH, DISCRIMINATOR_LAYERS, GAME_WEIGHT = 64, 3, 0.8
LEARNING_RATE, BETAS = 4.5e-6 * BATCH, (0.5, 0.9)


def batch() -> Tensor:
    """Give the images of every step: smooth colours with noise, in [-1, 1]."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(BATCH, 3, 8, 8, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=RESOLUTION, mode="bilinear")
    noise = 0.1 * torch.randn(smooth.shape, generator=generator)
    return (2 * smooth - 1 + noise).clamp(-1, 1)


def peak_bytes() -> int:
    """Ask the operating system for the largest memory that this process has held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


class Clock:
    """Start timing a step."""

    def __init__(self) -> None:
        self.began = time.perf_counter(), time.process_time()

    def tell(self) -> None:
        """Say how long it took, on the wall and in time of all cores."""
        seconds = time.perf_counter() - self.began[0]
        tell(seconds=seconds, cpu_seconds=time.process_time() - self.began[1], peak=peak_bytes())


def wait() -> bool:
    """Wait until a step is wanted; False: the end."""
    return sys.stdin.readline().strip() == "step"


def tell(**values: Any) -> None:
    """Answer."""
    print(json.dumps(values), flush=True)
