"""``loopyvq info``: what a file holds."""

import argparse
from collections.abc import Sequence
from pathlib import Path

_EXAMPLES = """\
examples:
  loopyvq info runs/first
  loopyvq info tokens/photo.jpg.tokens
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "path", metavar="PATH", help="a model file, the folder of a run, or a token file"
    )


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Describe a file."""
    path = Path(arguments.path)
    print(_describe_tokens(path) if path.suffix == ".tokens" else _describe_model(path))


def _describe_model(path: Path) -> str:
    import torch

    from loopyvq.checkpoint import load_tokenizer, model_identity

    tokenizer = load_tokenizer(path)
    config, loop = tokenizer.config, tokenizer.config.quantizer
    curve = tokenizer.quantizer.length_curve
    count = sum(parameter.numel() for parameter in tokenizer.parameters())
    lengths = [share * loop.max_depth for share in (0.05, 0.125, 0.25, 0.5, 0.75)]
    thresholds = curve.threshold_for(torch.tensor(lengths)).tolist()
    gains = ", ".join(f"{gain:.3f}" for gain in tokenizer.quantizer.gains().tolist())
    lines = [
        f"tokenizer {model_identity(tokenizer)}, {count:,} parameters",
        f"images: {config.image_channels} channels, one site per {config.downsampling} x "
        f"{config.downsampling} pixels",
        f"networks: channels {list(config.channels)}, {config.encoder_blocks} + "
        f"{config.decoder_blocks} blocks per level{', attention' if config.attention else ''}",
        f"loop: {loop.transform}, {loop.codebook_size} codes of width {loop.codebook_dim}, "
        f"up to {loop.max_depth} turns, threshold {loop.threshold:g} unless told otherwise",
        f"gains: {gains}",
        "mean length on the training images at some thresholds:",
        *(f"  {t:.3f}  {n:g} tokens per site" for t, n in zip(thresholds, lengths, strict=True)),
    ]
    return "\n".join(lines)


def _describe_tokens(path: Path) -> str:
    from loopyvq.spelling import SPELLINGS, spell
    from loopyvq.token_file import read_token_file

    file = read_token_file(path)
    tokens = file.tokens
    sites = tokens.lengths.numel()
    counts = tokens.lengths.flatten().bincount(minlength=tokens.max_depth + 1).tolist()
    lines = [
        f"{file.height} x {file.width} pixels, {tokens.lengths.shape[0]} x "
        f"{tokens.lengths.shape[1]} sites, threshold {file.threshold:g}, model {file.model}",
        f"{tokens.num_tokens} tokens, {tokens.num_tokens / max(1, sites):.2f} per site",
        "sites by length:",
        *(f"  {length}  {count}" for length, count in enumerate(counts)),
        "symbols in each spelling:",
        f"  {'padded':<12} {tokens.codes.numel()}",
    ]
    for spelling in SPELLINGS:
        lines.append(f"  {spelling:<12} {len(spell(tokens, spelling, file.codebook_size))}")
    return "\n".join(lines)
