"""The networks: encoder, loop and decoder as one tokenizer."""

from loopyvq.models.taming import TamingConfig
from loopyvq.models.tokenizer import (
    ARCHITECTURES,
    AnyTokenizerConfig,
    Reconstruction,
    Tokenizer,
    TokenizerConfig,
)

__all__ = [
    "ARCHITECTURES",
    "AnyTokenizerConfig",
    "Reconstruction",
    "TamingConfig",
    "Tokenizer",
    "TokenizerConfig",
]
