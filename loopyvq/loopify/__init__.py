"""Loopify: give a tokenizer of one code per site as many turns as its latents need."""

from loopyvq.loopify.run import Loopified, LoopifyConfig, loopify_model
from loopyvq.loopify.surgery import with_turns

__all__ = ["Loopified", "LoopifyConfig", "loopify_model", "with_turns"]
