"""Medians of runs in turns: of the time by the clock, and of the time on the processor."""

import statistics
import time
from collections.abc import Callable

Times = dict[str, list[tuple[float, float]]]


def in_turns(tasks: dict[str, Callable[[], object]], rounds: int, once: frozenset = frozenset()):
    """Run all tasks in turns, those of ``once`` only in the first; give seconds by name."""
    found: Times = {name: [] for name in tasks}
    for number in range(rounds):
        for name, task in tasks.items():
            if number and name in once:
                continue
            began = time.perf_counter(), time.process_time()
            task()
            ended = time.perf_counter(), time.process_time()
            found[name].append((ended[0] - began[0], ended[1] - began[1]))
    return {
        name: {
            "seconds": statistics.median(wall for wall, _ in times),
            "cpu_seconds": statistics.median(cpu for _, cpu in times),
            "runs": len(times),
        }
        for name, times in found.items()
    }


def table(result: dict[str, dict], base: str, work: float, unit: str) -> list[str]:
    """Write times and how many times as fast as ours the others are not."""
    lines = [
        f"| | s | {unit} per s | ours is faster by | on the processor, s | by |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    ours = result[base]
    for name, row in result.items():
        wall, cpu = (row[key] / ours[key] for key in ("seconds", "cpu_seconds"))
        lines.append(
            f"| {name} | {row['seconds']:.3f} | {work / row['seconds']:.0f} | {wall:.2f} | "
            f"{row['cpu_seconds']:.3f} | {cpu:.2f} |"
        )
    return lines
