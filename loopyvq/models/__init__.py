"""The networks: encoder, loop and decoder as one tokenizer."""

from loopyvq.models.tokenizer import Reconstruction, Tokenizer, TokenizerConfig

__all__ = ["Reconstruction", "Tokenizer", "TokenizerConfig"]
