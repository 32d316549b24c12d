"""What a check is: a line of the acceptance list, when it applies, and what it found."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

# Why a line does not apply to a library that lacks a feature.
FEATURES = {
    "forward": "searches only, has no forward pass",
    "averages": "the codebook is not an average",
    "gradient": "the codebook cannot be learned by gradient",
    "turns": "the number of turns cannot be chosen in training",
    "mask": "takes no mask",
    "start": "no start from data",
    "revival": "no revival of dead codes",
    "freeze": "no freezing",
    "shared": "no shared codebook",
    "norm": "reports no residual norm",
    "stop": "fixed length: nothing stops early",
    "deep": "one turn only",
    "double": "float32 only",
    "spelling": "no spellings of tokens",
    "pull": "no pull",
    "module": "no torch module",
    "gpu": "this machine has no CUDA device",
}


class Result(NamedTuple):
    """What a check found; ``passed`` is None where the line does not apply."""

    passed: bool | None
    text: str
    note: str = ""


class NotApplicable(Exception):  # noqa: N818
    """Raised by a check that finds that it does not apply, with the missing feature."""


@dataclass(frozen=True)
class Line:
    """One line; the lines of a ``group`` share a process."""

    name: str
    title: str
    needs: tuple[str, ...]
    check: Callable[[Any], Result]
    group: str

    def run(self, adapter: Any) -> Result:
        """Run the check on an adapter class; what the library raises is a fail."""
        missing = [feature for feature in self.needs if feature not in adapter.features]
        if missing:
            return Result(None, missing[0])
        try:
            return self.check(adapter)
        except NotApplicable as reason:
            return Result(None, str(reason))
        except Exception as error:
            return Result(False, type(error).__name__, " ".join(str(error).split())[:300])


LINES: dict[str, Line] = {}


def line(
    name: str, title: str, *needs: str, group: str = "main"
) -> Callable[[Callable[[Any], Result]], Callable[[Any], Result]]:
    """Enter a check into the table of lines."""

    def enter(check: Callable[[Any], Result]) -> Callable[[Any], Result]:
        LINES[name] = Line(name, title, needs, check, group)
        return check

    return enter


def in_order() -> list[str]:
    """Name all lines as the acceptance list orders them."""
    return sorted(LINES, key=lambda name: ("GSNRDE".index(name[0]), int(name[1:])))


def percent(share: float) -> str:
    """Spell a share; what is not nothing never reads 0 %."""
    value = 100.0 * float(share)
    if value == 0 or value >= 10:
        return f"{value:.0f} %"
    return f"{value:.1f} %" if value >= 0.1 else "< 0.1 %"
