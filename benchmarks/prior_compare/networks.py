"""Train the tokenizers that lines need, alike but for what they are compared in."""

import argparse

from commands import run
from entries import Entry, entries

from loopyvq.codec import load_tables

__all__ = ["TOKENIZERS", "train_tokenizers"]

_FIXED = "--tokenizer.quantizer.threshold 0 --tokenizer.quantizer.dummies false --rate_weight 0"
TOKENIZERS = {
    "loop": "--budget.low 0.5 --budget.high {most} --tokenizer.quantizer.stop {stop}",
    "loop_short": "--budget.low 0.5 --budget.high 1.5 --tokenizer.quantizer.stop {stop}",
    "fixed_depth": f"{_FIXED} --budget.kind depth --budget.low 1 --budget.high {{most}}",
    "plain_vq": f"{_FIXED} --tokenizer.quantizer.max_depth 1 --budget.kind full "
    "--tokenizer.quantizer.learn_gains false",
}
"""How the tokenizers differ from the config and from each other; networks, codes, steps and losses
are equal. Those of several rates are trained up to half as many tokens again as a prior will see:
plain VQ, which has one rate, is compared with a loop that knows no more than such rates either.
"""


def train_tokenizers(arguments: argparse.Namespace, wanted: list[Entry]) -> None:
    """Train those that lines need, for their tokens or to be as good."""
    by_name = {entry.name: entry for entry in entries(arguments)}
    models = [by_name[entry.like].tokenizer for entry in wanted if entry.like]
    models += [entry.tokenizer for entry in wanted]
    for name in sorted(set(models)):
        options, folder = TOKENIZERS[name], arguments.tokenizers / name
        done, state = (folder / f"{file}.safetensors" for file in ("best", "state"))
        if done.is_file() and (load_tables(folder) is not None or not state.is_file()):
            continue
        if state.is_file():
            run("train", "tokenizer", "--resume", folder, "--quiet")
        else:
            words = (arguments.config, "--data", arguments.data, "--out", folder, "--quiet")
            most = max(2, round(1.5 * arguments.length))
            told = options.format(most=most, stop=arguments.stop)
            steps = arguments.tokenizer_steps
            if steps:
                told += f" --run.steps {steps}"
            run("train", "tokenizer", *words, *told.split())
