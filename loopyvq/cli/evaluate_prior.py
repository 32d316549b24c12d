"""``loopyvq evaluate prior``: bits of tokens under a prior, beside the codec's."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopyvq.cli.drawing import told_in_one_line
from loopyvq.cli.options import add_device, add_strict, open_device
from loopyvq.cli.wishes import known_as_trained

if TYPE_CHECKING:
    import torch

    from loopyvq.data.conditioned import ConditionedImages
    from loopyvq.data.token_source import TokenSource
    from loopyvq.evaluation.prior_bits import PriorBits
    from loopyvq.pretokenize import ImageTokens, KnownConfig

TAKES_OPTIONS = True

_EXAMPLES = """\
examples:
  loopyvq evaluate prior runs/prior --data photos/
  loopyvq evaluate prior runs/prior --data train.zip --held-out 0.05 --csv bits.csv
  loopyvq evaluate prior runs/facades --data facades.zip --condition.half right \\
      --condition.labels.palette cmp_facades

This is a report: a network of floats is no portable entropy coder, as its last digits depend on
the batch size and the processor. Files are coded with integer tables (loopyvq compress). A prior
with a condition is told it: dotted options and tokenizer as for `loopyvq pretokenize`.
"""
_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.prog = "loopyvq evaluate prior"
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "prior", metavar="PRIOR", help="a prior's file, or the folder of its training run"
    )
    parser.add_argument(
        "--data", required=True, metavar="PATH", help="images, as for `loopyvq train`"
    )
    parser.add_argument(
        "--tokenizer", metavar="MODEL", help="where its tokenizer is now (default: where it was)"
    )
    parser.add_argument(
        "--held-out",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="of the images that the prior was trained on only those it never saw: the "
        "validation_share of the training (default: all images)",
    )
    parser.add_argument(
        "--condition-tokenizer", default="", metavar="MODEL", help="as for `loopyvq pretokenize`"
    )
    parser.add_argument("--condition-cells", type=int, metavar="N", help="the same")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images")
    parser.add_argument(
        "--batch-size", type=int, default=32, metavar="N", help="images at once (default: 32)"
    )
    parser.add_argument("--csv", metavar="FILE", help="write one line per image")
    add_device(parser)
    add_strict(parser)


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Measure every image."""
    from tqdm import tqdm

    from loopyvq.codec.tables import load_tables
    from loopyvq.errors import ConfigError, DataError
    from loopyvq.evaluation.prior_bits import prior_bits
    from loopyvq.tensor_file import write_atomically

    if arguments.batch_size < 1 or (arguments.limit is not None and arguments.limit < 1):
        raise ConfigError("--batch-size and --limit must be at least 1")
    if not 0 <= arguments.held_out <= 1:
        raise ConfigError(f"--held-out must be within 0..1, got {arguments.held_out}")
    device = open_device(arguments.device)
    prior, to_tokens, images, file = _open(arguments, options, device)
    to_tokens.to(device)
    tables = load_tables(file)
    found: list[PriorBits] = []
    with (
        tqdm(total=len(images), unit="image", leave=False, disable=None) as bar,
        told_in_one_line(),
    ):
        for names, sample in images.batches(arguments.batch_size):
            moved = type(sample)(*(item.to(device) for item in sample))
            found += prior_bits(prior, to_tokens, names, moved, tables)
            bar.update(len(names))
    if not found:
        raise DataError("no image could be read")
    print(_table(found))
    if images.image_set.broken:
        print(f"{len(images.image_set.broken)} broken images were skipped")
    if arguments.csv:
        write_atomically(Path(arguments.csv), _csv(found).encode())


def _open(
    arguments: argparse.Namespace, options: Sequence[str], device: "torch.device"
) -> "tuple[Any, ImageTokens, ConditionedImages, Path]":
    """Open the prior, the images as it knows them, and what makes tokens of them."""
    from loopyvq.checkpoint import (
        load_prior,
        load_tokenizer_of,
        prior_file,
        prior_source,
        tokenizer_file,
    )
    from loopyvq.codec import load_tables
    from loopyvq.errors import ConfigError
    from loopyvq.pretokenize import ImageTokens, Known, StopRule

    source = prior_source(arguments.prior)
    if source is None:
        raise ConfigError(
            f"{arguments.prior} was converted and does not know its images: bits are measured for "
            f"priors that loopyvq trained"
        )
    config = _known(arguments, options, source)
    tokenizer = load_tokenizer_of(arguments.prior, arguments.tokenizer)
    tokenizer.quantizer.min_length = source.min_length
    images = _images(arguments, config, source, tokenizer.config.image_channels)
    stop = StopRule.of(source)
    known = Known.load(config, tokenizer)
    known.require_as_trained(source)
    hint = source.tokenizer_file(prior_file(arguments.prior).parent)
    file = tokenizer_file(arguments.tokenizer or hint)
    prior = load_prior(arguments.prior, device)
    prices = prior if stop.rule == "prior" else load_tables(file)
    return prior, ImageTokens(tokenizer, stop, known, prices), images, file


def _images(
    arguments: argparse.Namespace, config: "KnownConfig", source: "TokenSource", channels: int
) -> "ConditionedImages":
    """Open the images that are asked for, with the conditions that the prior knows."""
    import torch

    from loopyvq.data import ConditionedImages, Subset, open_conditioned_set
    from loopyvq.data.token_draws import is_held_out
    from loopyvq.errors import ConfigError

    told = config.data
    images = open_conditioned_set(arguments.data, told, channels=channels, strict=arguments.strict)
    if told.kind == "class" and images.class_names != source.class_names:
        raise ConfigError(
            f"the prior knows the classes {', '.join(source.class_names)}; those of "
            f"{arguments.data} are {', '.join(images.class_names)}"
        )
    numbers = list(range(len(images)))
    if arguments.held_out < 1:
        numbers = is_held_out(torch.tensor(numbers), arguments.held_out).nonzero()[:, 0].tolist()
    if not numbers:
        raise ConfigError(
            f"--held-out {arguments.held_out:g} leaves none of {len(images)} images: it is the "
            f"validation_share of the training"
        )
    return ConditionedImages(Subset(images, numbers[: arguments.limit]), source.height, told)


def _known(
    arguments: argparse.Namespace, options: Sequence[str], source: "TokenSource"
) -> "KnownConfig":
    """Read what the prior is told of the images."""
    from loopyvq.errors import ConfigError

    if options and source.condition in ("none", "class"):
        raise ConfigError(f"unknown option {options[0]} (see loopyvq evaluate prior --help)")
    tokenizer, cells = arguments.condition_tokenizer, arguments.condition_cells
    return known_as_trained(arguments.prior, source, options, tokenizer, cells)


def _table(found: "list[PriorBits]") -> str:
    from loopyvq.evaluation.prior_bits import totals

    lines = [f"{'image':<32} {'tokens':>7} {'prior':>9} {'lengths':>9} {'context':>9} bits"]
    for item in found[:_SHOWN]:
        lines.append(
            f"{item.name[-32:]:<32} {item.num_tokens:>7} {item.prior_bits:>9.1f} "
            f"{item.stop_bits:>9.1f} {item.context_bits:>9}"
        )
    if len(found) > _SHOWN:
        lines.append(f"... and {len(found) - _SHOWN} more")
    total, count = totals(found), len(found)
    gain = 1 - total.prior_bits / max(1, total.context_bits)
    lines.append(
        f"{count} images: {total.num_tokens / count:.1f} tokens, {total.prior_bits / count:.1f} "
        f"bits under the prior ({total.prior_bits / total.num_pixels:.4f} per pixel, "
        f"{total.stop_bits / total.num_pixels:.4f} for lengths), {total.context_bits / count:.1f} "
        f"coded in context ({total.context_bits / total.num_pixels:.4f} per pixel): "
        f"{abs(gain):.1%} {'fewer' if gain >= 0 else 'more'} under the prior"
    )
    lines.append("A report: floats cannot code files. Bits of files are those in context.")
    return "\n".join(lines)


def _csv(found: "list[PriorBits]") -> str:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(found[0]._fields)
    writer.writerows(found)
    return text.getvalue()
