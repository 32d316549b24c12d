"""Run the lines of our acceptance list over the quantizers that one can install, and over ours.

    python benchmarks/peers/run.py [--libraries loopyvq,vqp] [--lines G1,N3] [--brief] [--out FILE]

Every library is spoken to through an adapter (``adapters/``), built as its documentation
recommends; every line is one function (``checks/``) that measures the same thing on all of them.
A line runs only where the feature that it is about exists; elsewhere the cell names what is
missing. What a library raises counts as a fail, under the exception's name. Known codebooks are
the same for all: each turn's codes are half of those before. Each library runs in processes of its
own, on one thread, so that a crash, a hang or a greedy allocation ends only its own cell. Needs
the environment of ``make bench-peers``; takes five to six minutes on two cores.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from adapters import NAMES
from checks import LINES, in_order
from lines import FEATURES

# Seconds for the lines that share a process; at most the last of them may fill the memory.
_LIMITS_S = {"main": 120.0, "ranks": 150.0, "export": 120.0, "memory": 90.0}
# Large pages only spare time: the peers that hold many gigabytes spend most of it on page faults.
_NOTE_LENGTH = 160
_BRIEF_LENGTH = 34
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "THP_MEM_ALLOC_ENABLE": "1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--libraries", default=",".join(NAMES), help="comma-separated")
    parser.add_argument("--lines", default=",".join(in_order()), help="comma-separated")
    parser.add_argument("--brief", action="store_true", help="only yes, no and why not")
    parser.add_argument("--out", type=Path, help="file for the table as well")
    arguments = parser.parse_args()
    libraries, wanted = arguments.libraries.split(","), arguments.lines.split(",")
    for name, known in ((libraries, NAMES), (wanted, LINES)):
        if unknown := set(name) - set(known):
            parser.error(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(known)}")
    names = [name for name in in_order() if name in wanted]
    columns = {library: _measure(library, names) for library in libraries}
    text = _brief(columns, names) if arguments.brief else _table(columns, names)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")


def _measure(library: str, names: list[str]) -> dict[str, dict]:
    """Run all lines of a library, group by group; after a hang go on behind it."""
    began = time.perf_counter()
    found: dict[str, dict] = {}
    for group in _LIMITS_S:
        pending = [name for name in names if LINES[name].group == group]
        while pending and "missing" not in found:
            rows, end, note = _work(library, pending, _LIMITS_S[group])
            if not rows:
                found["missing"] = {"text": end}
            found |= rows
            pending = [name for name in pending if name not in found]
            if pending and rows:
                found[pending.pop(0)] = {"passed": False, "text": end, "note": note}
    print(f"{library}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return found


def _work(library: str, names: list[str], limit_s: float) -> tuple[dict[str, dict], str, str]:
    """Run one worker; give what it printed, how it ended, and its last words."""
    command = [sys.executable, str(Path(__file__).with_name("worker.py")), library, *names]
    try:
        run = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=limit_s,
            env=os.environ | _ENVIRONMENT,
        )
        output, end = run.stdout, f"crashed ({run.returncode})"
        last = (run.stderr.strip().splitlines() or [""])[-1]
    except subprocess.TimeoutExpired as expired:
        output, end, last = (expired.stdout or b"").decode(), f"over {limit_s:.0f} s", ""
    rows = [json.loads(row) for row in output.splitlines() if row.startswith("{")]
    if not rows:
        return {}, last or end, ""
    return {row.get("line", "library"): row for row in rows}, end, last


def _table(columns: dict[str, dict[str, dict]], names: list[str]) -> str:
    shown = {library: found for library, found in columns.items() if "missing" not in found}
    heads = [
        f"{found['library']['label']} {found['library']['version']}" for found in shown.values()
    ]
    rows = [f"| line | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    missing: set[str] = set()
    for name in names:
        cells = []
        for found in shown.values():
            cell = found[name]
            if cell["passed"] is None:
                missing.add(cell["text"])
                cells.append(f"n/a ({cell['text']})")
            else:
                cells.append(("pass" if cell["passed"] else "**fail**") + f", {cell['text']}")
        rows.append(f"| {name} {LINES[name].title} | {' | '.join(cells)} |")
    totals = []
    for found in shown.values():
        applied = [found[name]["passed"] for name in names if found[name]["passed"] is not None]
        totals.append(f"**{sum(applied)} of {len(applied)}**")
    rows.append(f"| lines passed of lines that apply | {' | '.join(totals)} |")
    rows += [""]
    rows += [
        f"- n/a ({feature}): {FEATURES[feature]}" for feature in FEATURES if feature in missing
    ]
    for library, found in columns.items():
        if "missing" in found:
            rows.append(f"- {library} left out: {found['missing']['text']}")
    notes = [
        f"- {LINES[name].name}, {found['library']['label']}: {found[name]['note'][:_NOTE_LENGTH]}"
        for name in names
        for found in shown.values()
        if found[name].get("note") and found[name]["passed"] is not None
    ]
    return "\n".join([*rows, *(["", "Notes", "", *notes] if notes else [])])


def _brief(columns: dict[str, dict[str, dict]], names: list[str]) -> str:
    """Write the table of the documentation: numbers only where a line fails, `-` for n/a."""
    shown = [found for found in columns.values() if "missing" not in found]
    heads = " | ".join(found["library"]["label"] for found in shown)
    rows = [f"| line | {heads} |", f"|---|{'---|' * len(shown)}"]
    for name in names:
        cells = []
        for found in shown:
            passed, text = found[name]["passed"], found[name]["text"]
            short = text.split(";")[0] if len(text) > _BRIEF_LENGTH else text
            cells.append("-" if passed is None else "yes" if passed else f"**no**: {short}")
        rows.append(f"| {name} {LINES[name].title} | {' | '.join(cells)} |")
    counts = []
    for found in shown:
        applied = [found[name]["passed"] for name in names if found[name]["passed"] is not None]
        counts.append(f"{sum(applied)} of {len(applied)}")
    return "\n".join([*rows, f"| lines passed of lines that apply | {' | '.join(counts)} |"])


if __name__ == "__main__":
    main()
