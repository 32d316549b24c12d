"""The lines of the table: which tokens of which tokenizer a prior learns."""

import argparse
from dataclasses import dataclass, replace

__all__ = ["Entry", "chosen", "entries", "run_name"]


@dataclass(frozen=True)
class Entry:
    """One line of the table.

    Attributes:
        name: of the line and its folders.
        tokenizer: which one.
        depth: tokens of every site; 0: as the loop finds fit.
        length: mean tokens per site, for the loop; 0: as many as it takes to be as good as
            ``like``.
        like: the line whose quality the loop shall have.
        pooled: whether that is its mean squared error; else its mean PSNR.
        in_context: whether codes and stops are chosen by what they cost in context.
        tune: what errors are weighed for, with ``in_context``.
        effort: how often images are looked at, with ``in_context`` or ``priced``.
        priced: how often the prior chooses the tokens anew that it goes on to learn.
    """

    name: str
    tokenizer: str
    depth: int = 0
    length: float = 0.0
    like: str = ""
    pooled: bool = False
    in_context: bool = False
    tune: str = "psnr"
    effort: int = 0
    priced: int = 0


def entries(arguments: argparse.Namespace) -> list[Entry]:
    """Give all lines that these options allow."""
    length, tune, short = arguments.length, arguments.tune, arguments.short
    depth = max(1, round(length))
    fixed = f"fixed_depth_{depth}"
    usual = [
        Entry(fixed, "fixed_depth", depth=depth),
        Entry("plain_vq", "plain_vq", depth=1),
        Entry(f"loop_like_{fixed}", "loop", like=fixed),
        Entry("loop_like_plain_vq", short, like="plain_vq"),
        Entry(f"loop_mse_of_{fixed}", "loop", like=fixed, pooled=True),
        Entry("loop_mse_of_plain_vq", short, like="plain_vq", pooled=True),
        Entry(f"loop_{length:g}", "loop", length=length),
        Entry("loop_1", short, length=1.0),
    ]
    weighed = [
        Entry(f"{fixed}_in_context", "fixed_depth", depth=depth, in_context=True),
        Entry("plain_vq_in_context", "plain_vq", depth=1, in_context=True),
        Entry(f"loop_like_{fixed}_in_context", "loop", like=fixed, in_context=True),
        Entry("loop_like_plain_vq_in_context", short, like="plain_vq", in_context=True),
        Entry(f"loop_mse_of_{fixed}_in_context", "loop", like=fixed, pooled=True, in_context=True),
        Entry(
            "loop_mse_of_plain_vq_in_context",
            short,
            like="plain_vq",
            pooled=True,
            in_context=True,
        ),
    ]
    lengths = [
        Entry(
            f"loop_{mean:g}_in_context_{tune}",
            "loop" if mean > 1.5 else short,
            length=mean,
            in_context=True,
            tune=tune,
        )
        for mean in arguments.lengths
    ]
    priced = [
        replace(entry, name=f"{entry.name}_priced", priced=arguments.priced)
        for entry in usual
        if not entry.like or entry.pooled
    ]
    priced += [
        Entry(f"loop_{mean:g}_priced", "loop" if mean > 1.5 else short, length=mean,
              priced=arguments.priced)
        for mean in arguments.lengths
    ]  # fmt: skip
    further = (weighed + lengths) * arguments.in_context + priced * (arguments.priced > 0)
    return usual + [_looking(entry, arguments.effort) for entry in further]


def _looking(entry: Entry, effort: int) -> Entry:
    """Let a line look at images, unless its depth is fixed."""
    if not effort or entry.depth:
        return entry
    return replace(entry, name=f"{entry.name}_effort_{effort}", effort=effort)


def chosen(arguments: argparse.Namespace) -> list[Entry]:
    """Give the lines that are asked for, in that order; all of them by default.

    Raises:
        ValueError: there is no such line.
    """
    lines = {entry.name: entry for entry in entries(arguments)}
    if unknown := set(arguments.only or ()) - set(lines):
        raise ValueError(f"--only names no lines {sorted(unknown)}; there are {', '.join(lines)}")
    return [lines[name] for name in arguments.only or lines]


def run_name(entry: Entry, seed: int) -> str:
    """Name the folders of a prior of a line."""
    return f"{entry.name}_seed_{seed}" if seed else entry.name
