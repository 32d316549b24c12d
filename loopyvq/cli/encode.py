"""``loopyvq encode``: images to token files."""

import argparse
from collections.abc import Sequence

from loopyvq.cli.options import add_device, add_model, add_stop, add_strict, load_model
from loopyvq.cli.outputs import Outputs

_EXAMPLES = """\
examples:
  loopyvq encode runs/first photo.jpg --out tokens/
  loopyvq encode runs/first photos.zip --threshold 0.2 --out tokens/
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.epilog = _EXAMPLES
    add_model(parser)
    parser.add_argument(
        "images", nargs="+", metavar="IMAGES", help="images, folders, archives, or 'samples'"
    )
    parser.add_argument("--out", default="tokens", metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="T",
        help="stop distance in units of the latents' scale; smaller gives more tokens "
        "(default: the model's own)",
    )
    add_stop(parser)
    add_device(parser)
    add_strict(parser)


def run(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Encode images."""
    from loopyvq.checkpoint import model_identity
    from loopyvq.data import open_image_set, to_float
    from loopyvq.errors import ConfigError, DataError
    from loopyvq.token_file import TokenFile, write_token_file
    from loopyvq.tokens import Tokens

    tokenizer = load_model(arguments)
    quantizer = tokenizer.quantizer
    threshold = arguments.threshold
    if threshold is None:
        threshold = tokenizer.config.quantizer.threshold
    if not threshold >= 0:
        raise ConfigError(f"--threshold must be 0 or more, got {threshold}")
    identity = model_identity(tokenizer)
    outputs, written = Outputs(arguments.out), 0
    for source in arguments.images:
        channels = tokenizer.config.image_channels
        images = open_image_set(source, channels=channels, strict=arguments.strict)
        for key, image in images.images():
            pixels = to_float(image).unsqueeze(0).to(quantizer.sigma.device)
            codes, lengths = tokenizer.encode(pixels, threshold)
            path = outputs.path(key, ".tokens")
            file = TokenFile(
                Tokens(codes[0], lengths[0]).to("cpu"),
                image.shape[1],
                image.shape[2],
                threshold,
                quantizer.codebook_size,
                identity,
            )
            write_token_file(path, file)
            written += 1
            mean = file.tokens.num_tokens / lengths.numel()
            print(f"{path}  {file.tokens.num_tokens} tokens, {mean:.2f} per site")
        if images.broken:
            print(f"{len(images.broken)} broken images of {source} were skipped")
    if not written:
        raise DataError("no image could be read")
