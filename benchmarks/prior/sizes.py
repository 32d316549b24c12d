"""What every side is given."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """One transformer over the codes of an image; the defaults are those of taming's GPT."""

    vocabulary: int = 1024
    context: int = 512
    layers: int = 12
    heads: int = 8
    width: int = 256
    codes: int = 256
    """Codes of an image, after one symbol to start with."""
