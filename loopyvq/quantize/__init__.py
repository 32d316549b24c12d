"""Quantizers: latents to tokens and back. `QUANTIZERS` lists the settings that have a name."""

from collections.abc import Callable
from typing import Any

from loopyvq.quantize.base import Quantized, Quantizer
from loopyvq.quantize.loop import LoopConfig, LoopQuantizer

__all__ = ["QUANTIZERS", "LoopConfig", "LoopQuantizer", "Quantized", "Quantizer"]


def _residual(**options: Any) -> Quantizer:
    return LoopQuantizer(LoopConfig(**options))


def _pull(**options: Any) -> Quantizer:
    return LoopQuantizer(LoopConfig(transform="pull", **options))


def _fixed_depth(**options: Any) -> Quantizer:
    """Residual VQ as elsewhere: every site gets every turn."""
    return LoopQuantizer(LoopConfig(threshold=0.0, dummies=False, **options))


def _plain(**options: Any) -> Quantizer:
    """Plain VQ: one nearest code per site."""
    settings = {"max_depth": 1, "threshold": 0.0, "dummies": False, "learn_gains": False}
    return LoopQuantizer(LoopConfig(**{**options, **settings}))


QUANTIZERS: dict[str, Callable[..., Quantizer]] = {
    "loop": _residual,
    "pull": _pull,
    "residual_vq": _fixed_depth,
    "vq": _plain,
}
"""Name to constructor; each takes the options of `LoopConfig` as keywords."""
