"""Variable-length visual tokens: every latent vector gets as many tokens as it needs.

Names are loaded when they are first used, because importing torch takes seconds.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopyvq.checkpoint import load_tokenizer, save_tokenizer
    from loopyvq.codec import Codec
    from loopyvq.errors import LoopyVQError
    from loopyvq.models import Tokenizer, TokenizerConfig
    from loopyvq.quantize import LoopConfig, LoopQuantizer
    from loopyvq.spelling import spell, unspell
    from loopyvq.tokens import CONTINUE, PAD, Tokens

__all__ = [
    "CONTINUE",
    "PAD",
    "Codec",
    "LoopConfig",
    "LoopQuantizer",
    "LoopyVQError",
    "Tokenizer",
    "TokenizerConfig",
    "Tokens",
    "load_tokenizer",
    "save_tokenizer",
    "spell",
    "unspell",
]

__version__ = "0.1.0"

_HOMES = {
    "CONTINUE": "tokens",
    "PAD": "tokens",
    "Codec": "codec",
    "LoopConfig": "quantize",
    "LoopQuantizer": "quantize",
    "LoopyVQError": "errors",
    "Tokenizer": "models",
    "TokenizerConfig": "models",
    "Tokens": "tokens",
    "load_tokenizer": "checkpoint",
    "save_tokenizer": "checkpoint",
    "spell": "spelling",
    "unspell": "spelling",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'loopyvq' has no attribute {name!r}")
    return getattr(importlib.import_module(f"loopyvq.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
