"""The model card of a run: what it was trained on, how, on what, and what it reached."""

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml

import loopyvq
from loopyvq.tensor_file import write_atomically

__all__ = ["CARD", "TrainedOn", "write_model_card"]

CARD = "model_card.md"
"""What the card is called within a run's folder."""

# What only the config of one kind of training has.
_KINDS = {"adversarial": "vqgan", "labels": "segmentation", "tokenizer": "tokenizer"}


class TrainedOn(NamedTuple):
    """How long a training took, and on what.

    Attributes:
        steps: optimizer steps.
        elapsed_s: seconds, over all resumes.
        processes: number of processes.
        precision: number format, as lightning-fabric calls it.
        device: of the first process.
        parameters: trained numbers.
    """

    steps: int
    elapsed_s: float
    processes: int
    precision: str
    device: torch.device
    parameters: int


def write_model_card(folder: Path, trained: TrainedOn) -> Path | None:
    """Write the card of a run into its folder, from its config and its journal.

    Those that someone has edited stay; the new one is written beside them.

    Args:
        folder: the run's folder, with ``config.json`` and ``metrics.jsonl``.
        trained: what these two do not say.

    Returns:
        The card that was written, or None for a run without config, which only Python can start.

    Raises:
        CheckpointError: the card cannot be written.
    """
    if not (folder / "config.json").is_file():
        return None
    run = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config, data = run["config"], Path(run["data"]).name
    kind = next((name for key, name in _KINDS.items() if key in config), "prior")
    facts = {
        "trained with": f"loopyvq {loopyvq.__version__}, torch {torch.__version__}",
        "data": data,
        "steps": f"{trained.steps:,} of {config['run']['batch_size']} draws each",
        "parameters": f"{trained.parameters:,}",
        "time": f"{trained.elapsed_s:.0f} s",
        "hardware": f"{_hardware(trained.device)}, {trained.processes} process(es)",
        "precision": trained.precision,
        "seed": config["run"]["seed"],
    }
    text = _TEMPLATE.format(
        name=folder.resolve().name,
        kind=kind,
        data=data,
        facts=_table(facts),
        numbers=_table(_last_numbers(folder / "metrics.jsonl")) or "None were measured.",
        config=yaml.safe_dump(config, sort_keys=False).rstrip(),
    )
    path = next(path for path in _places(folder) if not _is_edited(path))
    write_atomically(path, (text + _mark(text)).encode())
    return path


def _places(folder: Path) -> Iterator[Path]:
    """Name the card, and what it is called beside others."""
    yield folder / CARD
    yield folder / "model_card.new.md"
    for number in count(2):
        yield folder / f"model_card.new{number}.md"


def _mark(text: str) -> str:
    """Say, where no reader sees it, what a card was when it was written."""
    return f"\n<!-- as written by loopyvq: {hashlib.sha256(text.encode()).hexdigest()[:16]} -->\n"


def _is_edited(card: Path) -> bool:
    """Tell whether a card is there that is not as a run wrote it."""
    if not card.is_file():
        return False
    text, start, _ = card.read_text(encoding="utf-8", errors="replace").rpartition("\n<!-- as ")
    return not start or card.read_bytes() != (text + _mark(text)).encode()


def _last_numbers(journal: Path) -> dict[str, Any]:
    """Give the last value of everything that was measured on held-out data, or of all there is."""
    found: dict[str, Any] = {}
    if journal.is_file():
        for line in journal.read_text(encoding="utf-8").splitlines():
            found |= json.loads(line)
    found.pop("step", None)
    numbers = {name: value for name, value in found.items() if isinstance(value, int | float)}
    held_out = {name: value for name, value in numbers.items() if name.startswith("validation_")}
    return {name: f"{value:.4g}" for name, value in (held_out or numbers).items()}


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        name = next(names, name)
    return f"{name}, {torch.get_num_threads()} thread(s)"


def _table(values: Mapping[str, Any]) -> str:
    rows = "\n".join(f"| {name.replace('_', ' ')} | {value} |" for name, value in values.items())
    return f"| | |\n|---|---|\n{rows}" if rows else ""


_TEMPLATE = """\
# {name}

What it is for: *say it here.*

{facts}

## Numbers

On data that was held out, where their names begin with "validation", by the averaged weights at
the last look; otherwise on the last batch.

{numbers}

## Data

*Source and licence of {data}, what it does not show, and who was asked: say it here.*

## Limits

*What it was seen to get wrong: say it here.*

## Make it again

    loopyvq train {kind} config.yaml --data {data} --out runs/{name}

with this as `config.yaml`:

```yaml
{config}
```
"""
