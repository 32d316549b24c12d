"""The networks: encoder, loop and decoder as one tokenizer."""

from loopyvq.models.taming import TamingConfig
from loopyvq.models.tokenizer import (
    ARCHITECTURES,
    AnyTokenizerConfig,
    LabelTokenizerConfig,
    Reconstruction,
    Tokenizer,
    TokenizerConfig,
)

__all__ = [
    "ARCHITECTURES",
    "AnyTokenizerConfig",
    "LabelTokenizerConfig",
    "Reconstruction",
    "TamingConfig",
    "Tokenizer",
    "TokenizerConfig",
]
