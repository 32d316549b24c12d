"""``loopyvq info``: what a file holds."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loopyvq.cli.inputs import add_limits, read_file
from loopyvq.cli.options import add_codec_model, add_device
from loopyvq.cli.verify import verify_file

if TYPE_CHECKING:
    from loopyvq.coding import Chunk, Header

_EXAMPLES = """\
examples:
  loopyvq info runs/first
  loopyvq info tokens/photo.jpg.tokens
  loopyvq info shards/photos
  loopyvq info photo.jpg.lvq
  loopyvq info photo.jpg.lvq --verify --model runs/first --original photo.jpg
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "path",
        metavar="PATH",
        help="a model file, the folder of a run or of shards, a token file or a compressed file",
    )
    parser.add_argument(
        "--verify", action="store_true", help="decode a compressed file and check its promise"
    )
    add_codec_model(parser)
    parser.add_argument("--original", metavar="PATH", help="what the file was made from")
    parser.add_argument("--codebook", metavar="FILE", help="of an array that does not store its")
    add_limits(parser)
    add_device(parser)


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Describe a file."""
    from loopyvq.errors import ConfigError

    path = Path(arguments.path)
    if (arguments.original or arguments.codebook) and not arguments.verify:
        raise ConfigError("--original and --codebook are for --verify")
    if arguments.verify and path.suffix != ".lvq":
        raise ConfigError("--verify is for compressed files, such as photo.jpg.lvq")
    if path.suffix == ".lvq":
        print(_describe_compressed(path))
        if arguments.verify:
            print(verify_file(path, arguments))
    elif _is_shards(path):
        from loopyvq.cli.pretokenize import describe_shards
        from loopyvq.data.token_shards import open_token_shards

        print(describe_shards(open_token_shards(path)))
    else:
        print(_describe_tokens(path) if path.suffix == ".tokens" else _describe_model(path))


def _is_shards(path: Path) -> bool:
    from loopyvq.data.token_shards import holds_token_shards

    return holds_token_shards(path)


def _describe_model(path: Path) -> str:
    from loopyvq.checkpoint import prior_file
    from loopyvq.tensor_file import kind_of

    if kind_of(prior_file(path)) == "prior":
        return _describe_prior(path)
    return _describe_tokenizer(path)


def _describe_prior(path: Path) -> str:
    from loopyvq.checkpoint import load_prior, prior_source

    prior, source = load_prior(path), prior_source(path)
    count = sum(parameter.numel() for parameter in prior.parameters())
    lines = [f"prior {type(prior).__name__}, {count:,} parameters"]
    if source is None:
        return f"{lines[0]}, converted"
    lines += [
        f"{source.height} x {source.width} pixels, {source.rows} x {source.columns} sites",
        f"tokens of tokenizer {source.tokenizer} at threshold {source.threshold:g}: "
        f"{source.codebook_size} codes, {source.min_length} to {source.max_depth} per site",
        f"condition: {source.condition}",
    ]
    if source.class_names:
        lines.append(f"classes: {', '.join(source.class_names)}")
    return "\n".join(lines)


def _describe_tokenizer(path: Path) -> str:
    import torch

    from loopyvq.checkpoint import load_tokenizer, model_identity

    tokenizer = load_tokenizer(path)
    config, loop = tokenizer.config, tokenizer.config.quantizer
    curve = tokenizer.quantizer.length_curve
    count = sum(parameter.numel() for parameter in tokenizer.parameters())
    subject = "label maps" if config.label_maps else "images"
    lengths = [share * loop.max_depth for share in (0.05, 0.125, 0.25, 0.5, 0.75)]
    lengths = [length for length in lengths if length >= loop.min_length]
    thresholds = curve.threshold_for(torch.tensor(lengths)).tolist()
    gains = ", ".join(f"{gain:.3f}" for gain in tokenizer.quantizer.gains().tolist())
    lines = [
        f"tokenizer {model_identity(tokenizer)}, {count:,} parameters",
        f"{subject}: {config.image_channels} channels, one site per "
        f"{config.downsampling} x {config.downsampling} pixels",
        f"networks: {tokenizer.architecture}, channels {list(config.channels)}, "
        f"{config.encoder_blocks} + {config.decoder_blocks} blocks per level"
        f"{', attention' if config.attention else ''}",
        f"loop: {loop.transform}, {loop.codebook_size} codes of width {loop.codebook_dim}, "
        f"up to {loop.max_depth} turns, threshold {loop.threshold:g} unless told otherwise",
        f"gains: {gains}",
    ]
    if bool(curve.started):
        lines.append("mean length on the training images at some thresholds:")
        pairs = zip(thresholds, lengths, strict=True)
        lines += [f"  {threshold:.3f}  {length:g} tokens per site" for threshold, length in pairs]
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


def _describe_compressed(path: Path) -> str:
    from loopyvq.coding import read_container

    data = read_file(path)
    header, chunks = read_container(data, partial=True)
    sizes = f"{header.height} x {header.width}"
    about = f"{sizes} pixels, {header.channels} channels" if header.channels else f"{sizes} numbers"
    kind = "tokenizer" if header.channels else "codebook"
    needs = f"{kind} {header.model}" if header.model.strip("0") else "no model"
    lines = [
        f"{about}, {len(data)} bytes, {8 * len(data) / max(1, header.height * header.width):.3f} "
        f"bits for each",
        f"mode {header.mode}, up to {header.max_depth} turns, needs {needs}",
        f"threshold {header.threshold:.6g}, {_promise(header, chunks)}",
    ]
    if header.target:
        lines.append(f"made for {header.target}: {header.target_value:.6g}")
    lines.append(f"chunks: {len(chunks)} of {header.num_chunks}")
    lines += [f"  {chunk.kind:<8} {len(chunk.payload)} bytes" for chunk in chunks]
    return "\n".join(lines)


def _promise(header: "Header", chunks: "Sequence[Chunk]") -> str:
    if len(chunks) < header.num_chunks:
        return "cut off: no promise"
    if chunks and chunks[-1].kind == "escape":
        return "kept at every site"
    if header.stated_bound is None:
        return "no promise"
    return f"no site further than {header.stated_bound:.4g}"
