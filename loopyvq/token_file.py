"""Tokens of one image on disk, with what is needed to decode them.

This is a plain, uncompressed form for experiments: one byte per length, two or four per code.
"""

from pathlib import Path
from typing import NamedTuple

import torch

from loopyvq.errors import BitstreamError
from loopyvq.tensor_file import read_tensors, write_tensors
from loopyvq.tokens import LARGEST_DEPTH, Tokens

__all__ = ["TokenFile", "read_token_file", "write_token_file"]

_KIND = "token file"
_LARGEST_SIDE = 1 << 20


class TokenFile(NamedTuple):
    """The tokens of one image.

    Attributes:
        tokens: sites of shape ``h w``.
        height: of the image, in pixels.
        width: of the image, in pixels.
        threshold: the stop distance, in units of the latents' scale.
        codebook_size: number of codes.
        model: identity of the model that made them.
    """

    tokens: Tokens
    height: int
    width: int
    threshold: float
    codebook_size: int
    model: str


def write_token_file(path: str | Path, file: TokenFile) -> None:
    """Write the tokens of an image, whole or not at all.

    Args:
        path: where to.
        file: the content.

    Raises:
        CheckpointError: the file cannot be written.
        ValueError: the tokens are not valid, no grid, or deeper than 255 turns; or the image or
            its threshold cannot be.
    """
    codes, lengths = file.tokens.validate(file.codebook_size)
    _check(file)
    narrow = torch.int16 if file.codebook_size <= 1 << 15 else torch.int32
    tensors = {"codes": codes.to(narrow), "lengths": lengths.to(torch.uint8)}
    header = {name: value for name, value in file._asdict().items() if name != "tokens"}
    write_tensors(Path(path), _KIND, tensors, **header)


def read_token_file(path: str | Path) -> TokenFile:
    """Read the tokens of an image.

    Args:
        path: a file that `write_token_file` wrote.

    Returns:
        The content, checked.

    Raises:
        BitstreamError: the file is missing, damaged, or its content contradicts itself.
    """
    tensors, header = read_tensors(path, _KIND, BitstreamError)
    try:
        tokens = Tokens(tensors["codes"].long(), tensors["lengths"].long())
        height, width = int(header["height"]), int(header["width"])
        size, threshold = int(header["codebook_size"]), float(header["threshold"])
        tokens.validate(size)
        return _check(TokenFile(tokens, height, width, threshold, size, str(header["model"])))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BitstreamError(f"{path} holds no valid tokens: {error}") from error


def _check(file: TokenFile) -> TokenFile:
    """Refuse what no file may say, when it is written and when it is read."""
    sides, depth = (file.height, file.width), file.tokens.max_depth
    if not all(0 < side <= _LARGEST_SIDE for side in sides) or not file.threshold >= 0:
        raise ValueError(f"{sides[0]} x {sides[1]} pixels at threshold {file.threshold} cannot be")
    if file.tokens.lengths.ndim != 2 or depth > LARGEST_DEPTH:
        raise ValueError(f"the sites must be a grid of at most {LARGEST_DEPTH} turns")
    return file
