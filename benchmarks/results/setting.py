"""Where and when it was measured."""

import os
import platform
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import PIL
import torch

ROOT = Path(__file__).resolve().parents[2]


def setting() -> dict[str, str]:
    """Give date, commit, machine and versions, by the names that the page has for them."""
    return {
        "day": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "machine": f"{processor()}, {counted(os.cpu_count() or 1, 'core')}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pillow": PIL.__version__,
    }


def commit() -> str:
    """Name the commit, and say whether the code differs from it."""
    try:
        name = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--", "loopyvq", "benchmarks/results")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{name} with changes" if changed else name


def processor() -> str:
    """Name the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def counted(number: int, thing: str) -> str:
    """Write how many there are of a thing."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def load() -> str:
    """Give the mean number of programs that want to run."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def spelled(words: list[str]) -> str:
    """Write a command without the folders of this machine."""
    shown = words[:2]
    for word in words[2:]:
        name, equals, path = word.rpartition("=")
        outside = Path(path).is_absolute() or path.startswith("..")
        shown.append(f"{name}{equals}{Path(path).name}" if outside else word)
    return shlex.join(shown)


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
