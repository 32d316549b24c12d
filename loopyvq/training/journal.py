"""Where a run writes what it measures: a JSONL file, TensorBoard and a progress bar."""

import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from jaxtyping import UInt8
from torch import Tensor
from tqdm import tqdm

from loopyvq.tensor_file import write_atomically

__all__ = ["Journal"]


class Journal:
    """The record of a run; after a resume it goes on where the saved state was.

    Args:
        folder: the run's folder; lines go to ``metrics.jsonl``, panels to ``tensorboard/``.
        first_step: the step the run starts at; lines of later steps are dropped.
        last_step: the step it will end at; None where time ends it.
        quiet: show no progress bar.
        tensorboard: whether to write TensorBoard events.
        is_kept: whether this process is the one that writes; others keep nothing.
    """

    def __init__(
        self,
        folder: Path,
        first_step: int,
        last_step: int | None,
        quiet: bool,
        tensorboard: bool,
        *,
        is_kept: bool = True,
    ) -> None:
        self._path = folder / "metrics.jsonl" if is_kept else Path(os.devnull)
        if is_kept:
            folder.mkdir(parents=True, exist_ok=True)
            self._forget_after(first_step)
        self._file = self._path.open("a", encoding="utf-8")
        self._writer: Any = None
        if tensorboard and is_kept:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(folder / "tensorboard", purge_step=first_step + 1)
        self._bar = tqdm(
            total=last_step,
            initial=first_step,
            disable=quiet or not is_kept,
            unit="step",
            file=sys.stderr,
            dynamic_ncols=True,
            mininterval=0.1 if sys.stderr.isatty() else 20.0,
            smoothing=0.05,
        )

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.close()
        self._file.close()
        if self._writer is not None:
            self._writer.close()

    def advance(self) -> None:
        """Move the bar by one step."""
        self._bar.update(1)

    def write(self, step: int, values: Mapping[str, Any], shown: Mapping[str, str]) -> None:
        """Record what was measured at a step.

        Args:
            step: steps done.
            values: numbers, or lists of numbers, by name.
            shown: what the bar shows, already formatted.
        """
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        self._bar.set_postfix(shown, refresh=False)
        if self._writer is not None:
            for name, value in values.items():
                if isinstance(value, int | float):
                    self._writer.add_scalar(name, value, step)

    def picture(self, step: int, name: str, image: UInt8[Tensor, "c H W"]) -> None:
        """Record an image panel.

        Args:
            step: steps done.
            name: its title.
            image: the pixels.
        """
        if self._writer is not None:
            self._writer.add_image(name, image, step)

    def _forget_after(self, step: int) -> None:
        """Drop lines that a killed run wrote beyond its last saved state."""
        if not self._path.is_file():
            return
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and _step_of(line) <= step]
        write_atomically(self._path, "".join(kept).encode())


def _step_of(line: str) -> float:
    """Read the step of a line; a damaged one is of none that will be."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError):
        return math.inf
