"""The networks of taming-transformers, in its own arithmetic, so that its checkpoints load."""

from loopyvq.models.taming.config import TamingConfig, plain_quantizer

__all__ = ["TamingConfig", "plain_quantizer"]
